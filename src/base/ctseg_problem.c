/*
 * One rendering for all errors of the API, so that a client needs one reader.
 */

#include "ctseg_problem.h"


const char *
ctseg_status_title(int status)
{
    switch (status) {

    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}


void
ctseg_problem_render(ctseg_buf_t *out, int status, const char *detail,
    const ctseg_problems_t *problems)
{
    unsigned             i, n;
    ctseg_json_writer_t  w;

    w.buf = out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "type", "about:blank");
    ctseg_jw_cstr(&w, "title", ctseg_status_title(status));
    ctseg_jw_int(&w, "status", status);

    if (detail != NULL) {
        ctseg_jw_cstr(&w, "detail", detail);
    }

    if (problems != NULL && problems->n != 0) {
        ctseg_jw_open(&w, "errors", '[');

        n = problems->n < CTSEG_PROBLEMS_MAX ? problems->n
                                             : CTSEG_PROBLEMS_MAX;

        for (i = 0; i < n; i++) {
            ctseg_jw_open(&w, NULL, '{');
            ctseg_jw_cstr(&w, "field", problems->item[i].field);
            ctseg_jw_cstr(&w, "message", problems->item[i].message);
            ctseg_jw_close(&w, '}');
        }

        ctseg_jw_close(&w, ']');
    }

    ctseg_jw_close(&w, '}');
    ctseg_buf_char(out, '\n');
}
