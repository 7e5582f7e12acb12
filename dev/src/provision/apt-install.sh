# Installs Debian packages (the arguments) without starting, enabling or creating any system service, and leaves no other
# trace. Run as root by `cargo dev`.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
mark='# temporary: plinth, cargo dev'
clusters=/etc/postgresql-common/createcluster.conf
units='postgresql.service redis-server.service nginx.service clamav-daemon.service clamav-daemon.socket clamav-freshclam.service'

# Also removes the traces of a killed run.
restore() {
    if [ -e "$policy" ] && grep -qF "$mark" "$policy"; then rm -f "$policy"; fi
    if [ -e "$policy.plinth-kept" ]; then mv -f "$policy.plinth-kept" "$policy"; fi
    if [ -e "$clusters.plinth-kept" ]; then mv -f "$clusters.plinth-kept" "$clusters"; fi
}
restore
trap restore EXIT
trap 'exit 130' INT TERM HUP

# 101 means "action forbidden by policy": no package can start its service (invoke-rc.d(8)).
if [ -e "$policy" ]; then mv "$policy" "$policy.plinth-kept"; fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
chmod 755 "$policy"

present=''
for unit in $units; do
    if [ -e "/lib/systemd/system/$unit" ]; then present="$present $unit"; fi
done

apt-get update -q
case " $* " in
*' postgresql '*)
    # The server package would create a cluster "main" that starts at every boot.
    apt-get install -y -q --no-install-recommends postgresql-common
    if [ -e "$clusters" ]; then
        cp -p "$clusters" "$clusters.plinth-kept"
        echo 'create_main_cluster = false' >>"$clusters"
    fi
    ;;
esac
apt-get install -y -q --no-install-recommends "$@"

# Services that came with these packages do not start at the next boot either.
for unit in $units; do
    case " $present " in
    *" $unit "*) ;;
    *)
        if [ -e "/lib/systemd/system/$unit" ] && command -v systemctl >/dev/null; then
            systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
        fi
        ;;
    esac
done
