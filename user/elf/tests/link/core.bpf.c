// What the running kernel is asked for by tests/minimal.rs: members at any depth, sizes, enumerators, types.
#include "common.h"

#define CORE __attribute__((preserve_access_index))

enum pid_type { PIDTYPE_PID___core = 0, PIDTYPE_TGID___core };

typedef int pid_t;
struct nsproxy {
	int count;
} CORE;
struct mm_struct {
	struct {
		u64 start_stack;
	};
} CORE;
struct task_struct {
	pid_t pid;
	char comm[16];
	struct mm_struct *mm;
	struct nsproxy *nsproxy;
	int nobody_has_this;
	unsigned int sched_migrated : 1;
} CORE;
struct task_struct___old {
	long state;
} CORE;

SEC("raw_tp") int core(struct task_struct *task)
{
	u64 sum = task->pid + task->comm[3] + task->mm->start_stack;

	sum += __builtin_preserve_field_info(task->nobody_has_this, 2);
	sum += __builtin_preserve_field_info(task->nsproxy, 0) + __builtin_preserve_field_info(task->comm, 1);
	sum += __builtin_preserve_field_info(task->sched_migrated, 4);
	sum += __builtin_preserve_field_info(((struct task_struct___old *)task)->state, 2);
	sum += __builtin_preserve_type_info(*(struct mm_struct *)0, 0);
	sum += __builtin_preserve_type_info(*(struct nsproxy *)0, 1);
	sum += __builtin_preserve_enum_value(*(enum pid_type *)PIDTYPE_TGID___core, 1);
	return sum;
}
