#!/bin/sh

# Install the Debian packages that a make target needs and that are missing.
#
#   t/tools/deps.sh build|test|lint|bench|peers|demo|fuzz
#
# Says nothing when all are there.  CTSEG_DEPS=no skips the check, for systems
# where the same things come from elsewhere.

set -eu

build="gcc libc6-dev make nginx nginx-dev liblmdb-dev libyajl-dev"
build="$build libcurl4-openssl-dev libssl-dev zlib1g-dev"
run="perl curl"

case "${1-build}" in
    build)  need=$build ;;
    demo)   need="$build $run" ;;
    test)   need="$build $run libcmocka-dev openssl tzdata"
            need="$need nodejs npm chromium" ;;
    lint)   need="$build $run libcmocka-dev cppcheck nodejs npm" ;;
    bench)  need="$build $run" ;;
    peers)  need="$build $run nodejs npm"
            need="$need libnginx-mod-http-lua lua-cjson" ;;
    fuzz)   need="$build clang libclang-rt-dev" ;;
    *)      echo "usage: $0 build|test|lint|bench|peers|demo|fuzz" >&2
            exit 2 ;;
esac

if [ "${CTSEG_DEPS-}" = no ]; then
    exit 0
fi

installed() {
    case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" in
        [iuh]i*)  return 0 ;;
    esac
    return 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    cat >&2 << END
ctseg: this is no Debian system, so nothing can be installed from here.
ctseg: the counterparts of these Debian packages are needed: $need
ctseg: nginx-dev is the source of the very nginx that will load the module.
ctseg: when they are there: make CTSEG_DEPS=no NGINX_SRC=... TARGET
END
    exit 1
fi

# targets that run side by side must not install side by side

cd "$(dirname "$0")/../.."
mkdir -p build
exec 9> build/deps.lock
flock 9

missing=
for package in $need; do
    if ! installed "$package"; then

        # another flavour of the same library does as well

        if [ $package = libcurl4-openssl-dev ] \
            && { installed libcurl4-gnutls-dev \
                 || installed libcurl4-nss-dev; }
        then
            continue
        fi

        # and so does another Node.js, which brings its npm along

        case $package in
            nodejs)  ! command -v node > /dev/null || continue ;;
            npm)     ! command -v npm > /dev/null || continue ;;
        esac

        missing="$missing $package"
    fi
done

if [ -z "$missing" ]; then
    exit 0
fi

echo "ctseg: installing missing Debian packages:$missing"

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "ctseg: not root and no sudo; run as root:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

# Debian starts a server when it installs one.  Nobody asked for a server on
# port 80 here: systemctl ignores "start" when it is told to be offline, and
# invoke-rc.d starts nothing in runlevel 1.  Both are words to this one
# command, they leave nothing behind.

quiet=DEBIAN_FRONTEND=noninteractive
case " $missing " in
    *" nginx "*)  quiet="$quiet SYSTEMD_OFFLINE=1 RUNLEVEL=1" ;;
esac

$as_root env $quiet apt-get -q -o Acquire::Retries=3 update
$as_root env $quiet apt-get -q -y -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 install --no-install-recommends $missing
