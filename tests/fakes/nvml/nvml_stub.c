/* A driver library without a driver: the symbols that nvidia-ml-py binds for the agent's calls.
 *
 * Everything it answers stands in one file that is mapped into memory, so that a test edits the
 * machine while the agent is looking at it.  The file is named by FAKE_NVML_STATE or, within one
 * process, by fake_nvml_attach().  state.py mirrors the two structs below.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15,
};
enum {
    UTILIZATION = 1 << 0, MEMORY = 1 << 1, MEMORY_V2 = 1 << 2, TEMPERATURE = 1 << 3,
    POWER = 1 << 4, ENERGY = 1 << 5, ECC = 1 << 6, XID = 1 << 7, MIG = 1 << 8, MINOR = 1 << 9,
};
enum { XID_CRITICAL = 8, GPUS_MAX = 16, XIDS_MAX = 64, POLL_US = 1000 };

struct gpu {
    char uuid[96];
    char name[96];
    char bus_id[32];
    uint64_t memory_total_bytes;
    uint64_t memory_used_bytes;
    uint64_t energy_mj;
    uint64_t ecc_uncorrected;
    uint32_t minor;
    uint32_t mig_mode;
    uint32_t utilization_percent;
    uint32_t temperature_c;
    uint32_t power_mw;
    uint32_t unsupported; /* bits of the second enum */
    uint32_t error;       /* every call about this card returns it, GPU_IS_LOST for one */
    uint32_t hang;        /* calls about this card return only once this is 0 again */
};

struct state {
    uint32_t gpu_count;
    uint32_t init_error;
    uint32_t call_error; /* every call returns it: the driver went away under us */
    uint32_t inits;
    char driver_version[80];
    struct gpu gpus[GPUS_MAX];
    uint64_t xids_written;
    struct { uint32_t gpu; uint32_t code; } xids[XIDS_MAX];
};

struct pci_info {
    char bus_id_legacy[16];
    uint32_t domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct memory { uint64_t total, free, used; };
struct memory_v2 { uint32_t version; uint64_t total, reserved, free, used; };
struct utilization { uint32_t gpu, memory; };
struct event { void *device; uint64_t type, data; uint32_t gpu_instance, compute_instance; };
struct event_set { uint64_t seen; uint32_t registered; };

static volatile struct state *state;
static int initialized;

int fake_nvml_attach(const char *path)
{
    int fd = open(path, O_RDWR);
    struct stat facts;
    if (fd < 0 || fstat(fd, &facts) || facts.st_size < (off_t)sizeof *state)
        return -1;
    void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED)
        return -1;
    state = mapped; /* an earlier mapping stays: a hung call may still be waiting in it */
    initialized = 0;
    return 0;
}

uint32_t fake_nvml_state_bytes(void) { return sizeof *state; }

static int ready(void)
{
    if (!state || !initialized)
        return UNINITIALIZED;
    return state->call_error;
}

/* Return the card behind a handle once it may be asked about `feature`, or why it may not. */
static int ask(void *handle, uint32_t feature, volatile struct gpu **gpu)
{
    volatile struct state *asked = state;
    uintptr_t number = (uintptr_t)handle;
    int error = ready();
    if (error)
        return error;
    if (number < 1 || number > asked->gpu_count)
        return INVALID_ARGUMENT;
    *gpu = &asked->gpus[number - 1];
    while ((*gpu)->hang)
        usleep(POLL_US);
    if ((*gpu)->error)
        return (*gpu)->error;
    return (*gpu)->unsupported & feature ? NOT_SUPPORTED : SUCCESS;
}

static int copy_text(char *to, uint32_t size, const volatile char *from)
{
    if (strlen((const char *)from) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(to, (const char *)from);
    return SUCCESS;
}

int nvmlInitWithFlags(uint32_t flags)
{
    (void)flags;
    if (!state && (!getenv("FAKE_NVML_STATE") || fake_nvml_attach(getenv("FAKE_NVML_STATE"))))
        return DRIVER_NOT_LOADED;
    if (state->init_error)
        return state->init_error;
    state->inits++;
    initialized = 1;
    return SUCCESS;
}

int nvmlShutdown(void)
{
    if (!initialized)
        return UNINITIALIZED;
    initialized = 0;
    return SUCCESS;
}

const char *nvmlErrorString(int error) { (void)error; return "an error of the stub"; }

int nvmlSystemGetDriverVersion(char *version, uint32_t size)
{
    int error = ready();
    return error ? error : copy_text(version, size, state->driver_version);
}

int nvmlDeviceGetCount_v2(uint32_t *count)
{
    int error = ready();
    if (!error)
        *count = state->gpu_count;
    return error;
}

int nvmlDeviceGetHandleByIndex_v2(uint32_t index, void **handle)
{
    int error = ready();
    if (error)
        return error;
    if (index >= state->gpu_count)
        return INVALID_ARGUMENT;
    *handle = (void *)(uintptr_t)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle)
{
    int error = ready();
    if (error)
        return error;
    for (uint32_t i = 0; i < state->gpu_count; i++)
        if (!strcmp((const char *)state->gpus[i].uuid, uuid)) {
            *handle = (void *)(uintptr_t)(i + 1);
            return state->gpus[i].error == GPU_IS_LOST ? GPU_IS_LOST : SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetName(void *handle, char *name, uint32_t size)
{
    volatile struct gpu *gpu;
    int error = ask(handle, 0, &gpu);
    return error ? error : copy_text(name, size, gpu->name);
}

int nvmlDeviceGetUUID(void *handle, char *uuid, uint32_t size)
{
    volatile struct gpu *gpu;
    int error = ask(handle, 0, &gpu);
    return error ? error : copy_text(uuid, size, gpu->uuid);
}

int nvmlDeviceGetPciInfo_v3(void *handle, struct pci_info *info)
{
    volatile struct gpu *gpu;
    int error = ask(handle, 0, &gpu);
    if (error)
        return error;
    memset(info, 0, sizeof *info);
    return copy_text(info->bus_id, sizeof info->bus_id, gpu->bus_id);
}

int nvmlDeviceGetMinorNumber(void *handle, uint32_t *minor)
{
    volatile struct gpu *gpu;
    int error = ask(handle, MINOR, &gpu);
    if (!error)
        *minor = gpu->minor;
    return error;
}

int nvmlDeviceGetMigMode(void *handle, uint32_t *current, uint32_t *pending)
{
    volatile struct gpu *gpu;
    int error = ask(handle, MIG, &gpu);
    if (!error)
        *current = *pending = gpu->mig_mode;
    return error;
}

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory)
{
    volatile struct gpu *gpu;
    int error = ask(handle, MEMORY, &gpu);
    if (error)
        return error;
    memory->total = gpu->memory_total_bytes;
    memory->used = gpu->memory_used_bytes;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *memory)
{
    volatile struct gpu *gpu;
    int error = ask(handle, MEMORY | MEMORY_V2, &gpu);
    if (error)
        return error;
    memory->total = gpu->memory_total_bytes;
    memory->used = gpu->memory_used_bytes;
    memory->free = memory->total - memory->used;
    memory->reserved = 0;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, struct utilization *rates)
{
    volatile struct gpu *gpu;
    int error = ask(handle, UTILIZATION, &gpu);
    if (error)
        return error;
    rates->gpu = gpu->utilization_percent;
    rates->memory = 0;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, uint32_t sensor, uint32_t *celsius)
{
    volatile struct gpu *gpu;
    int error = ask(handle, TEMPERATURE, &gpu);
    if (sensor != 0)
        return INVALID_ARGUMENT;
    if (!error)
        *celsius = gpu->temperature_c;
    return error;
}

int nvmlDeviceGetPowerUsage(void *handle, uint32_t *milliwatts)
{
    volatile struct gpu *gpu;
    int error = ask(handle, POWER, &gpu);
    if (!error)
        *milliwatts = gpu->power_mw;
    return error;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules)
{
    volatile struct gpu *gpu;
    int error = ask(handle, ENERGY, &gpu);
    if (!error)
        *millijoules = gpu->energy_mj;
    return error;
}

int nvmlDeviceGetTotalEccErrors(void *handle, uint32_t kind, uint32_t counter,
                                unsigned long long *errors)
{
    volatile struct gpu *gpu;
    int error = ask(handle, ECC, &gpu);
    if (!error)
        *errors = kind == 1 && counter == 0 ? gpu->ecc_uncorrected : 0;
    return error;
}

int nvmlEventSetCreate(struct event_set **set)
{
    int error = ready();
    if (error)
        return error;
    *set = calloc(1, sizeof **set);
    (*set)->seen = state->xids_written;
    return SUCCESS;
}

int nvmlDeviceGetSupportedEventTypes(void *handle, unsigned long long *types)
{
    volatile struct gpu *gpu;
    int error = ask(handle, XID, &gpu);
    if (!error)
        *types = XID_CRITICAL;
    return error;
}

int nvmlDeviceRegisterEvents(void *handle, unsigned long long types, struct event_set *set)
{
    volatile struct gpu *gpu;
    int error = ask(handle, XID, &gpu);
    if (!error && types != XID_CRITICAL)
        return NOT_SUPPORTED;
    if (!error)
        set->registered |= 1u << ((uintptr_t)handle - 1);
    return error;
}

int nvmlEventSetWait_v2(struct event_set *set, struct event *event, uint32_t timeout_ms)
{
    int error = ready();
    (void)timeout_ms;
    while (!error && set->seen < state->xids_written) {
        uint32_t slot = set->seen++ % XIDS_MAX;
        uint32_t gpu = state->xids[slot].gpu;
        if (!(set->registered & 1u << gpu))
            continue;
        memset(event, 0, sizeof *event);
        event->device = (void *)(uintptr_t)(gpu + 1);
        event->type = XID_CRITICAL;
        event->data = state->xids[slot].code;
        return SUCCESS;
    }
    return error ? error : TIMEOUT;
}

int nvmlEventSetFree(struct event_set *set)
{
    free(set);
    return SUCCESS;
}
