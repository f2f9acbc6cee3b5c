/* string.h: for code that is compiled for a machine whose C library is not here. */
#ifndef VTA_TESTS_MACHINE_STRING_H
#define VTA_TESTS_MACHINE_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *to, int byte, size_t nbytes);
int memcmp(const void *a, const void *b, size_t nbytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);

#endif
