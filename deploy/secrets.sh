#!/bin/sh
# deploy/secrets.sh: the secrets of deploy/compose.yaml, at random, in deploy/secrets. What is there already stays.
#
# The folder is yours alone. The files in it can be read by whoever gets into the folder, for the processes in the
# containers are other users than you, and are handed the files themselves.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
cd secrets

random() {
    od -An -N 24 -t x1 /dev/urandom | tr -d ' \n'
}

keep() {
    # Whole or not at all, and never over what is there: data was made with it.
    if [ -e "$1" ]; then
        echo "deploy/secrets/$1 is there already"
        return
    fi
    cat >"$1.new"
    chmod 644 "$1.new"
    mv "$1.new" "$1"
    echo "deploy/secrets/$1 is made"
}

# A new password would be none that PostgreSQL knows, whose data was made with the old one.
if [ -e veza.toml ] && [ ! -e postgres ]; then
    echo "deploy/secrets/postgres is missing: put it back; it is the password in database_url of deploy/secrets/veza.toml" >&2
    exit 1
fi

random | keep postgres
keep veza.toml <<END
database_url = "postgresql://veza:$(cat postgres)@postgres/veza"
secret_key = "$(random)$(random)"
END
