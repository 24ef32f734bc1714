/* What ONNX Runtime's JNI library for Android needs of Android's C library, on glibc: see jvm.py. */
typedef unsigned long size;

extern void *__libc_malloc(size);
extern void __libc_free(void *);
extern void *__libc_realloc(void *, size);
extern void abort(void);

void *malloc(size bytes) { return __libc_malloc(bytes); }
void free(void *memory) { __libc_free(memory); }
void *realloc(void *memory, size bytes) { return __libc_realloc(memory, bytes); }

size strlen(const char *text)
{
    size length = 0;
    while (text[length])
        length++;
    return length;
}

void *memcpy(void *target, const void *source, size bytes)
{
    char *to = target;
    const char *from = source;
    while (bytes--)
        *to++ = *from++;
    return target;
}

int __cxa_atexit(void *function, void *argument, void *library) { return 0; }
void __cxa_finalize(void *library) {}
int __register_atfork(void *prepare, void *parent, void *child, void *library) { return 0; }
void __stack_chk_fail(void) { abort(); }
int dlclose(void *library) { return 0; }

/* Android's libonnxruntime.so has it, that of Linux does not. */
void *OrtSessionOptionsAppendExecutionProvider_Nnapi(void *options, unsigned flags) { return 0; }
