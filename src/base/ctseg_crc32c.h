/*
 * CRC32C (Castagnoli, RFC 3720 appendix B.4), with the SSE4.2 instruction
 * where the processor has it.  Any thread.
 */

#ifndef CTSEG_CRC32C_H
#define CTSEG_CRC32C_H


#include "ctseg.h"


/* crc of what came before, 0 at the start; "123456789" gives 0xe3069283 */

uint32_t ctseg_crc32c(uint32_t crc, const void *data, size_t len);


#endif /* CTSEG_CRC32C_H */
