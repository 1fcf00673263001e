/*
 * Why records are refused: CleverTap's codes, and words for them that are
 * short enough to count by.  Any thread.
 */

#ifndef CTSEG_REFUSAL_H
#define CTSEG_REFUSAL_H


/* record codes of CleverTap's page "API Errors" */

#define CTSEG_CODE_NO_NAME      509
#define CTSEG_CODE_STRUCTURE    512
#define CTSEG_CODE_GENDER       514
#define CTSEG_CODE_EMAIL        515
#define CTSEG_CODE_PHONE        516
#define CTSEG_CODE_PROPERTIES   522
#define CTSEG_CODE_NO_IDENTITY  523
#define CTSEG_CODE_TYPE         524
#define CTSEG_CODE_TS           525
#define CTSEG_CODE_OBJECT_ID    526
#define CTSEG_CODE_OTHER        555


#define CTSEG_REFUSAL_N  9


/* 0..CTSEG_REFUSAL_N - 1; a code that is not known is the last of them */

unsigned ctseg_refusal_of(int code);

const char *ctseg_refusal_name(unsigned refusal);       /* "no_identity" */


#endif /* CTSEG_REFUSAL_H */
