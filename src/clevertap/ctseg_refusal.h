/*
 * Why records of an upload are refused, in words that are short enough to
 * count by: one for each of CleverTap's codes.  Any thread.
 */

#ifndef CTSEG_REFUSAL_H
#define CTSEG_REFUSAL_H


#define CTSEG_REFUSAL_N  8


/* 0..CTSEG_REFUSAL_N - 1; a code that is not known is the last of them */

unsigned ctseg_refusal_of(int code);

const char *ctseg_refusal_name(unsigned refusal);       /* "no_identity" */


#endif /* CTSEG_REFUSAL_H */
