#!/bin/sh

# All tests under one prove, whose closing line ends the output.
#
#   BUILD=build t/tools/prove.sh [test ...]
#
# Without names: t/*.t, the unit tests and the fuzz targets of the build, and
# the threads of the store under ThreadSanitizer.  V=1 shows each line,
# TEST_JOBS=n runs n at a time.

set -eu

cd "$(dirname "$0")/../.."

BUILD=${BUILD-build}

case $BUILD in
    /*)  ;;
    *)   BUILD=$PWD/$BUILD ;;
esac

export CTSEG_MODULE="${CTSEG_MODULE-$BUILD/ngx_http_ctseg_module.so}"
export CTSEG_NGINX="${CTSEG_NGINX-/usr/sbin/nginx}"
export CTSEG_BUILD="$BUILD"
export CMOCKA_MESSAGE_OUTPUT=TAP

# messages and times are compared with what C says

export LC_ALL=C
unset TZ || true

if [ $# -eq 0 ]; then
    set -- t/*.t
    for test in "$BUILD"/unit/*/test_* "$BUILD"/fuzz/fuzz_* \
        "$BUILD"/tsan/unit/store/test_store_many
    do
        case $test in
            *'*'* | *.d | *.input)  ;;
            *)  set -- "$@" "${test#"$PWD"/}" ;;
        esac
    done
fi

exec prove -It/lib -j"${TEST_JOBS-2}" ${V:+-v} "$@"
