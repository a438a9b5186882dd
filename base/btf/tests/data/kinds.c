// What clang makes of C: compiled by tests/clang.rs, where there is a clang.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define TAG(text) __attribute__((btf_decl_tag(text)))
#define USER __attribute__((btf_type_tag("user")))

enum verdict { PASS = 1, DROP = -2 };
enum wide { SMALL = 1, LARGE = 0x1234567890ULL };

struct settings {
	int limit;
	_Bool on;
	char name[16];
	u8 mac[6];
	u64 big : 40;
	int negative : 5;
	enum verdict verdict : 3;
	union {
		u32 v4;
		u8 v6[16];
	};
	struct {
		double ratio;
		void *next;
	};
	enum wide wide;
	u32 grid[2][3];
};

const volatile struct settings settings = {
	.limit = -7, .on = 1, .name = "hive", .mac = { 1, 2, 3, 4, 5, 6 }, .big = 0xabcdef0123, .negative = -3,
	.verdict = DROP, .v4 = 10, .ratio = 0.5, .wide = LARGE, .grid = { { 1, 2, 3 }, { 4, 5, 6 } },
};
static volatile const int second = 5;
struct tagged { int USER *pointer TAG("note"); } tagged;
struct { int (*type)[1]; int (*max_entries)[10]; u32 *key; u64 *value; } map SEC(".maps");
extern int CONFIG_HZ __attribute__((section(".kconfig")));

__attribute__((noinline)) int sum(int a, const struct settings *s) { return a + second + s->limit; }

SEC("xdp") int prog(void *ctx)
{
	return CONFIG_HZ + *tagged.pointer + sum(3, (const struct settings *)&settings);
}

struct core { int a; struct { int b; } c[4]; } __attribute__((preserve_access_index));
SEC("tc") int core(struct core *core) { return core->c[2].b; }
