// Gatehouse on plain ESP32: the firmware frozen in, no PSRAM, no TLS. Never built by us for the chip.

#define MICROPY_HW_BOARD_NAME "Gatehouse, ESP32 without PSRAM"
#define MICROPY_HW_MCU_NAME "ESP32"

// The Python heap has its whole size from the start and never grows: what NimBLE and Wi-Fi need stays theirs.
// The second line has an effect only where ../fixed-heap.patch has been applied.
#define MICROPY_GC_INITIAL_HEAP_SIZE (104 * 1024)
#define MICROPY_GC_SPLIT_HEAP_AUTO (0)

// What the firmware does not use
#define MICROPY_PY_ESPNOW (0)
#define MICROPY_HW_ENABLE_SDCARD (0)
#define MICROPY_PY_MACHINE_I2S (0)
