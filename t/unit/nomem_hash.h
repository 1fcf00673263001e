/*
 * For ways that hash: what OpenSSL does when its own memory lacks is its own
 * (it keeps a state of errors, and finds a digest by another way), so all of
 * that is left out.  That there is no memory for a hash is tried instead.  A
 * test that includes this links with -Wl,--wrap=EVP_MD_CTX_new.
 */

#ifndef NOMEM_HASH_H
#define NOMEM_HASH_H


#include <openssl/crypto.h>
#include <openssl/evp.h>


#ifdef CTSEG_DISK_MEMORY

static void *
nomem_hash_malloc(size_t size, const char *file, int line)
{
    (void) file;
    (void) line;

    return __libc_malloc(size);
}


static void *
nomem_hash_realloc(void *p, size_t size, const char *file, int line)
{
    (void) file;
    (void) line;

    return __libc_realloc(p, size);
}


static void
nomem_hash_free(void *p, const char *file, int line)
{
    (void) file;
    (void) line;

    __libc_free(p);
}

#endif


EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);


EVP_MD_CTX *
__wrap_EVP_MD_CTX_new(void)
{
    void  *p;

    p = malloc(1);
    free(p);

    return p == NULL ? NULL : __real_EVP_MD_CTX_new();
}


/* before anything of OpenSSL is called */

static inline void
nomem_hash_init(void)
{
#ifdef CTSEG_DISK_MEMORY
    assert_int_equal(CRYPTO_set_mem_functions(nomem_hash_malloc,
                                              nomem_hash_realloc,
                                              nomem_hash_free), 1);
#endif
}


#endif /* NOMEM_HASH_H */
