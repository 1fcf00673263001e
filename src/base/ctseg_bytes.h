/*
 * Fixed-width integers in stored bytes, of model and store.  Neither
 * alignment nor the machine's order matters, and with n a constant of 4 or 8
 * the compiler makes one load or store of it.  Any thread.
 */

#ifndef CTSEG_BYTES_H
#define CTSEG_BYTES_H


#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>


static inline void
ctseg_le_put(char *p, uint64_t v, size_t n)
{
    v = htole64(v);

    memcpy(p, &v, n);
}


static inline uint64_t
ctseg_le_get(const char *p, size_t n)
{
    uint64_t  v;

    v = 0;
    memcpy(&v, p, n);

    return le64toh(v);
}


static inline void
ctseg_be_put(char *p, uint64_t v, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        p[i] = (char) (unsigned char) (v >> (8 * (n - 1 - i)));
    }
}


static inline uint64_t
ctseg_be_get(const char *p, size_t n)
{
    size_t    i;
    uint64_t  v;

    v = 0;

    for (i = 0; i < n; i++) {
        v = v << 8 | (unsigned char) p[i];
    }

    return v;
}


#endif /* CTSEG_BYTES_H */
