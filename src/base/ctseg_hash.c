/*
 * The only user of OpenSSL.  Which SHA-256 it is, is looked up when a struct
 * hashes first and not again, which costs several times the hash of a short
 * text.
 */

#include <openssl/evp.h>

#include "ctseg_hash.h"


#define CTSEG_HASH_LENGTH  8            /* bytes of the length of a part */


bool
ctseg_hash(ctseg_hash_t *h, const ctseg_str_t *parts, unsigned n,
    char out[CTSEG_HASH_LEN])
{
    int             ok;
    size_t          j;
    unsigned        i;
    EVP_MD_CTX     *md;
    unsigned char   length[CTSEG_HASH_LENGTH], digest[EVP_MAX_MD_SIZE];

    md = h->md;

    if (md != NULL) {
        ok = EVP_DigestInit_ex(md, NULL, NULL);

    } else {
        md = EVP_MD_CTX_new();

        if (md == NULL) {
            return false;
        }

        ok = EVP_DigestInit_ex(md, EVP_sha256(), NULL);

        if (ok != 1) {
            EVP_MD_CTX_free(md);
            return false;
        }

        h->md = md;
    }

    for (i = 0; i < n && ok == 1; i++) {

        for (j = 0; j < CTSEG_HASH_LENGTH; j++) {
            length[j] = (unsigned char) ((uint64_t) parts[i].len >> (8 * j));
        }

        ok = EVP_DigestUpdate(md, length, sizeof(length));

        if (ok == 1 && parts[i].len != 0) {
            ok = EVP_DigestUpdate(md, parts[i].data, parts[i].len);
        }
    }

    if (ok == 1) {
        ok = EVP_DigestFinal_ex(md, digest, NULL);
    }

    if (ok != 1) {
        return false;
    }

    for (i = 0; i < CTSEG_HASH_LEN; i++) {
        out[i] = (char) digest[i];
    }

    return true;
}


void
ctseg_hash_free(ctseg_hash_t *h)
{
    EVP_MD_CTX_free(h->md);
    h->md = NULL;
}
