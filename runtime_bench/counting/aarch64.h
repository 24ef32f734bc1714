/* What an A64 instruction is: its class, and how many multiply-accumulates it does.
 * Encodings: Arm Architecture Reference Manual (DDI 0487), C4.1. */
#pragma once
#include <stdint.h>

enum class {
  INTEGER, MULTIPLY, BRANCH, LOAD, STORE, VECTOR_LOAD, VECTOR_STORE, PREFETCH,
  FMLA, MLAL, MULL, DOT, MMLA, VECTOR, FMADD, FLOAT, SYSTEM, OTHER, CLASSES
};
static const char *const class_names[CLASSES] = {
  "integer", "multiply", "branch", "load", "store", "vector_load", "vector_store", "prefetch",
  "fmla", "mlal", "mull", "dot", "mmla", "vector", "fmadd", "float", "system", "other"
};
/* mlal: also those that do not widen; mull: widening products, with which a sum begins; fmadd: scalar. */
static const enum class mac_classes[] = {FMLA, MLAL, MULL, DOT, MMLA, FMADD};
#define MAC_CLASSES (sizeof mac_classes / sizeof *mac_classes)

struct kind {
  enum class class;
  unsigned macs;
};

static uint32_t bits(uint32_t word, int high, int low) { return (word >> low) & ((1u << (high - low + 1)) - 1); }

static enum class memory_class(uint32_t word) {
  uint32_t group = bits(word, 29, 28), vector = bits(word, 26, 26), opc = bits(word, 23, 22), load;
  switch (group) {
    case 0: /* exclusive, ordered, compare and swap; structures */
    case 2: /* pairs */
      load = opc & 1;
      break;
    case 1: /* literals; ordered with an offset */
      if (!bits(word, 24, 24)) {
        if (!vector && bits(word, 31, 30) == 3) return PREFETCH;
        load = 1;
      } else
        load = opc != 0;
      break;
    default: /* one register */
      if (vector)
        load = opc & 1;
      else if (!bits(word, 24, 24) && bits(word, 21, 21) && !bits(word, 11, 10))
        load = 1; /* atomics read and write */
      else if (bits(word, 31, 30) == 3 && opc == 2)
        return PREFETCH;
      else
        load = opc != 0;
  }
  return vector ? (load ? VECTOR_LOAD : VECTOR_STORE) : (load ? LOAD : STORE);
}

static struct kind vector_kind(uint32_t word) {
  uint32_t q = bits(word, 30, 30), u = bits(word, 29, 29), size = bits(word, 23, 22), lanes8 = q ? 16 : 8;
  if ((word & 0x9f200400) == 0x0e200400) { /* three registers */
    uint32_t opcode = bits(word, 15, 11);
    if (opcode == 0x19 && !u) return (struct kind){FMLA, (size & 1) ? 2 : lanes8 / 4};
    if (opcode == 0x12) return (struct kind){MLAL, lanes8 >> size};
  } else if ((word & 0x9f60c400) == 0x0e400400) { /* three registers of float16 */
    if (bits(word, 13, 11) == 1 && !u) return (struct kind){FMLA, lanes8 / 2};
  } else if ((word & 0x9f208400) == 0x0e008400) { /* three registers, extensions */
    uint32_t opcode = bits(word, 14, 11);
    if (opcode == 2 || opcode == 3) return (struct kind){DOT, lanes8};
    if (opcode == 4 || opcode == 5) return (struct kind){MMLA, 32};
  } else if ((word & 0x9f200c00) == 0x0e200000) { /* three registers of different widths */
    uint32_t opcode = bits(word, 15, 12);
    if (opcode == 8 || opcode == 10) return (struct kind){MLAL, 8u >> size};
    if (opcode == 12) return (struct kind){MULL, 8u >> size};
  } else if ((word & 0x9f000400) == 0x0f000000) { /* by one element */
    uint32_t opcode = bits(word, 15, 12);
    if (!u && (opcode == 1 || opcode == 5)) return (struct kind){FMLA, size == 0 ? lanes8 / 2 : size == 2 ? lanes8 / 4 : 2};
    if (u && (opcode == 0 || opcode == 4)) return (struct kind){MLAL, lanes8 >> size};
    if (opcode == 2 || opcode == 6) return (struct kind){MLAL, 8u >> size};
    if (opcode == 10) return (struct kind){MULL, 8u >> size};
    if (opcode == 14 || (opcode == 15 && !(size & 1))) return (struct kind){DOT, lanes8};
  }
  return (struct kind){VECTOR, 0};
}

static struct kind kind_of(uint32_t word) {
  uint32_t group = bits(word, 28, 25);
  if ((group & 0xe) == 0x8) return (struct kind){INTEGER, 0}; /* with an immediate */
  if ((group & 0xe) == 0xa) {
    int system = (word & 0xff000000) == 0xd4000000 || (word & 0xffc00000) == 0xd5000000;
    return (struct kind){system ? SYSTEM : BRANCH, 0};
  }
  if ((group & 0x5) == 0x4) return (struct kind){memory_class(word), 0};
  if ((group & 0x7) == 0x5) { /* with registers */
    int multiply = (word & 0x1f000000) == 0x1b000000 || (word & 0x5fe0f800) == 0x1ac00800;
    return (struct kind){multiply ? MULTIPLY : INTEGER, 0};
  }
  if ((group & 0x7) == 0x7) {
    if ((word & 0x5f000000) == 0x1f000000) return (struct kind){FMADD, 1};
    if ((word & 0x5f000000) == 0x1e000000) return (struct kind){FLOAT, 0};
    if ((word & 0xff00b400) == 0x5f001000) return (struct kind){FMLA, 1}; /* scalars, by one element */
    return vector_kind(word);
  }
  return (struct kind){OTHER, 0}; /* SVE, SME, unallocated */
}
