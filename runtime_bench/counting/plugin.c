/* A QEMU plugin that counts what an AArch64 program does between two marks: instructions and multiply-accumulates by
 * class, bytes, misses of a model of the CPU's data caches, and how often the hot blocks ran. Misses are counted twice: of
 * caches as the last run between marks left them, and of caches that are emptied at START. A mark is the system call
 * getpriority(MARK, START or STOP), which fails and changes nothing; each STOP writes a line of JSON.
 *
 * Arguments: out=FILE, and the size in KiB and the ways of both caches: l1=32, l1_ways=2, l2=1024, l2_ways=16.
 * The program may have threads, but only one of them may work between the marks. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aarch64.h"
#include "qemu_plugin.h"

enum { GETPRIORITY = 141, MARK = 0xFA1C, START = 1, STOP = 2 };
enum { LINE_SHIFT = 6, BUCKETS = 1 << 16 };
/* A block is hot if it has at least one of so many executed instructions. */
enum { HOT = 500000 };

/* A translated block: QEMU translates it again when it likes, and means the same. */
struct block {
  struct block *next;
  uint64_t address, executed;
  uint32_t length, classes[CLASSES], macs[CLASSES], words[];
};

/* Set associative; the line that was used least recently goes. */
struct cache {
  uint64_t sets, ways, clock, misses, *lines, *used;
};

struct caches {
  struct cache l1, l2;
};

__attribute__((visibility("default"))) int qemu_plugin_version = API;
static struct block *blocks[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct caches kept, emptied;
static uint64_t bytes_loaded, bytes_stored;
static bool counting;
static FILE *out;

static bool hit(struct cache *cache, uint64_t line) {
  uint64_t set = line % cache->sets * cache->ways, *lines = cache->lines + set, *used = cache->used + set, oldest = 0;
  cache->clock++;
  for (uint64_t way = 0; way < cache->ways; way++) {
    if (lines[way] == line) {
      used[way] = cache->clock;
      return true;
    }
    if (used[way] < used[oldest]) oldest = way;
  }
  lines[oldest] = line;
  used[oldest] = cache->clock;
  cache->misses++;
  return false;
}

static void access_line(struct caches *caches, uint64_t line) {
  if (!hit(&caches->l1, line)) hit(&caches->l2, line);
}

static void empty(struct cache *cache) { memset(cache->lines, 0, cache->sets * cache->ways * sizeof *cache->lines); }

static void access_memory(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  if (!counting) return;
  uint64_t size = 1ull << qemu_plugin_mem_size_shift(info);
  *(qemu_plugin_mem_is_store(info) ? &bytes_stored : &bytes_loaded) += size;
  for (uint64_t line = address >> LINE_SHIFT; line <= (address + size - 1) >> LINE_SHIFT; line++) {
    access_line(&kept, line);
    access_line(&emptied, line);
  }
}

static void execute(unsigned cpu, void *data) { ((struct block *)data)->executed++; }

static struct block *block_of(uint64_t address, const uint32_t *words, size_t length) {
  struct block **bucket = &blocks[(uint32_t)((address >> 2) * 2654435761u) >> 16], *block;
  for (block = *bucket; block; block = block->next)
    if (block->address == address && block->length == length && !memcmp(block->words, words, length * sizeof *words))
      return block;
  block = calloc(1, sizeof *block + length * sizeof *words);
  if (!block) abort();
  block->address = address, block->length = length, block->next = *bucket;
  memcpy(block->words, words, length * sizeof *words);
  for (size_t index = 0; index < length; index++) {
    struct kind kind = kind_of(words[index]);
    block->classes[kind.class]++;
    block->macs[kind.class] += kind.macs;
  }
  return *bucket = block;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
  size_t length = qemu_plugin_tb_n_insns(tb);
  uint32_t words[length];
  for (size_t index = 0; index < length; index++) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, index);
#if API < 3
    memcpy(words + index, qemu_plugin_insn_data(instruction), sizeof *words);
#else
    qemu_plugin_insn_data(instruction, words + index, sizeof *words);
#endif
    qemu_plugin_register_vcpu_mem_cb(instruction, access_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
  }
  pthread_mutex_lock(&lock);
  struct block *block = block_of(qemu_plugin_tb_vaddr(tb), words, length);
  pthread_mutex_unlock(&lock);
  qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void start(void) {
  for (size_t bucket = 0; bucket < BUCKETS; bucket++)
    for (struct block *block = blocks[bucket]; block; block = block->next) block->executed = 0;
  bytes_loaded = bytes_stored = 0;
  kept.l1.misses = kept.l2.misses = emptied.l1.misses = emptied.l2.misses = 0;
  empty(&emptied.l1), empty(&emptied.l2);
  counting = true;
}

static void stop(void) {
  uint64_t instructions = 0, classes[CLASSES] = {0}, macs[CLASSES] = {0};
  counting = false;
  for (size_t bucket = 0; bucket < BUCKETS; bucket++)
    for (struct block *block = blocks[bucket]; block; block = block->next) {
      instructions += block->executed * block->length;
      for (int class = 0; class < CLASSES; class++) {
        classes[class] += block->executed * block->classes[class];
        macs[class] += block->executed * block->macs[class];
      }
    }
  fprintf(out, "{\"instructions\": %" PRIu64 ", \"classes\": {", instructions);
  for (int class = 0; class < CLASSES; class++)
    fprintf(out, "%s\"%s\": %" PRIu64, class ? ", " : "", class_names[class], classes[class]);
  fprintf(out, "}, \"macs\": {");
  for (size_t index = 0; index < MAC_CLASSES; index++)
    fprintf(out, "%s\"%s\": %" PRIu64, index ? ", " : "", class_names[mac_classes[index]], macs[mac_classes[index]]);
  fprintf(out, "}, \"loads\": %" PRIu64 ", \"stores\": %" PRIu64, classes[LOAD] + classes[VECTOR_LOAD],
          classes[STORE] + classes[VECTOR_STORE]);
  fprintf(out, ", \"bytes_loaded\": %" PRIu64 ", \"bytes_stored\": %" PRIu64, bytes_loaded, bytes_stored);
  fprintf(out, ", \"l1_misses\": %" PRIu64 ", \"l2_misses\": %" PRIu64, kept.l1.misses, kept.l2.misses);
  fprintf(out, ", \"l1_misses_emptied\": %" PRIu64 ", \"l2_misses_emptied\": %" PRIu64, emptied.l1.misses,
          emptied.l2.misses);
  fprintf(out, ", \"blocks\": [");
  const char *comma = "";
  for (size_t bucket = 0; bucket < BUCKETS; bucket++)
    for (struct block *block = blocks[bucket]; block; block = block->next) {
      if (!block->executed || block->executed * block->length < instructions / HOT) continue;
      fprintf(out, "%s[\"", comma);
      for (uint32_t index = 0; index < block->length; index++) fprintf(out, "%08" PRIx32, block->words[index]);
      fprintf(out, "\", %" PRIu64 "]", block->executed);
      comma = ", ";
    }
  fprintf(out, "]}\n");
  fflush(out);
}

static void call(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t which, uint64_t who, uint64_t a3, uint64_t a4,
                 uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  if (number != GETPRIORITY || (uint32_t)which != MARK) return;
  pthread_mutex_lock(&lock);
  if (who == START)
    start();
  else
    stop();
  pthread_mutex_unlock(&lock);
}

static bool make(struct cache *cache, uint64_t kib, uint64_t ways) {
  if (!kib || !ways || (kib * 1024 >> LINE_SHIFT) % ways) return false;
  cache->ways = ways, cache->sets = (kib * 1024 >> LINE_SHIFT) / ways;
  cache->lines = calloc(cache->sets * ways, sizeof *cache->lines);
  cache->used = calloc(cache->sets * ways, sizeof *cache->used);
  return cache->lines && cache->used;
}

static bool make_both(struct caches *caches, uint64_t l1, uint64_t l1_ways, uint64_t l2, uint64_t l2_ways) {
  return make(&caches->l1, l1, l1_ways) && make(&caches->l2, l2, l2_ways);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                                               char **argv) {
  unsigned l1_kib = 0, l1_ways = 0, l2_kib = 0, l2_ways = 0;
  for (int index = 0; index < argc; index++) {
    if (!strncmp(argv[index], "out=", 4)) out = fopen(argv[index] + 4, "w");
    sscanf(argv[index], "l1=%u", &l1_kib);
    sscanf(argv[index], "l1_ways=%u", &l1_ways);
    sscanf(argv[index], "l2=%u", &l2_kib);
    sscanf(argv[index], "l2_ways=%u", &l2_ways);
  }
  if (strcmp(info->target_name, "aarch64") || !out) return 1;
  for (int index = 0; index < 2; index++)
    if (!make_both(index ? &emptied : &kept, l1_kib, l1_ways, l2_kib, l2_ways)) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
  qemu_plugin_register_vcpu_syscall_cb(id, call);
  return 0;
}
