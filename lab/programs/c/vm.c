// An interpreter: a loop around a switch, with its registers on the stack.
// Memory: 64 instructions of 4 bytes {operation, target, left, right or number}, then 32 words of data.
#include "bench.h"

#define CODE 64
#define MOST_STEPS 2000

enum { HALT, SET, ADD, SUB, MUL, XOR, SHL, SHR, LOAD, LESS, JUMP_IF, JUMP };

ENTRY u64 PROG(void *mem, u64 len)
{
	const u8 *code = mem;
	const u64 *data = (const u64 *)(code + CODE * 4);
	u64 r[8] = { 0 };
	u32 pc = 0;
	u64 steps = 0;

	if (len < CODE * 4 + 32 * 8)
		return 0;
	for (; steps < MOST_STEPS; steps++) {
		const u8 *insn = code + (pc & (CODE - 1)) * 4;
		u32 to = insn[1] & 7, left = insn[2] & 7, right = insn[3] & 7;

		pc++;
		switch (insn[0]) {
		case SET:
			r[to] = insn[3];
			break;
		case ADD:
			r[to] = r[left] + r[right];
			break;
		case SUB:
			r[to] = r[left] - r[right];
			break;
		case MUL:
			r[to] = r[left] * r[right];
			break;
		case XOR:
			r[to] = r[left] ^ r[right];
			break;
		case SHL:
			r[to] = r[left] << (insn[3] & 63);
			break;
		case SHR:
			r[to] = r[left] >> (insn[3] & 63);
			break;
		case LOAD:
			r[to] = data[r[left] & 31];
			break;
		case LESS:
			r[to] = r[left] < r[right];
			break;
		case JUMP_IF:
			if (r[left])
				pc = insn[3];
			break;
		case JUMP:
			pc = insn[3];
			break;
		default:
			return r[0] ^ steps << 48;
		}
	}
	return r[0] ^ steps << 48;
}
