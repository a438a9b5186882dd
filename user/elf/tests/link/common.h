// What the files of these cases have in common; compiled by tests/linker.rs, where there is a clang.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name)))
#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))
#define HIDDEN __attribute__((visibility("hidden")))
#define UINT(name, number) int (*name)[number]
#define STRINGIFY(text) #text
#define TEXT(text) STRINGIFY(text)

#ifndef ENTRIES
#define ENTRIES 4
#endif
#ifndef LICENSE
#define LICENSE Dual MIT/GPL
#endif

// Each file has it, one only declares it.
struct item;
struct list {
	struct item *first;
	u32 len;
	enum { EMPTY, FILLED = 7 } state;
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static u64 (*const ktime)(void) = (void *)5;

extern u32 LINUX_KERNEL_VERSION SEC(".kconfig");
extern const void bpf_prog_active SEC(".ksyms") WEAK;

struct counts {
	UINT(type, 2);
	UINT(max_entries, ENTRIES);
	u32 *key;
#ifdef VALUE
	struct list *value;
#else
	u64 *value;
#endif
};

const char the_license[] SEC("license") = TEXT(LICENSE);
