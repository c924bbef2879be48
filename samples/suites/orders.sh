#!/bin/sh
# A suite in a shell: mockrec run --control --unmatched reject -o none -- sh samples/suites/orders.sh
# COMMAND gets the recorder as its proxy, MOCKREC_CONTROL and MOCKREC_CONTROL_TOKEN.
set -eu

control() {
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --request "$method" \
        --header "Authorization: Bearer $MOCKREC_CONTROL_TOKEN" "$@" "$MOCKREC_CONTROL$path"
}

expect() {
    if [ "$2" != "$3" ]; then
        echo "not ok: $1: expected $2, got $3"
        exit 1
    fi
    echo "ok: $1"
}

control POST /v1/rules --header 'Content-Type: application/yaml' --data-binary @- >/dev/null <<'RULES'
rules:
  - when: {method: POST, path: /orders}
    then: {reply: {status: 201, json: {id: 7}}}
RULES

expect "an order is placed" '{"id":7}' "$(curl --silent --data currency=EUR http://shop.test/orders)"
expect "the shop was asked once" 1 \
    "$(control GET /v1/exchanges --get --data-urlencode 'where=method == POST and path == /orders' | grep -c '"status":201')"

control POST /v1/reset >/dev/null
expect "after a reset nothing answers" 503 \
    "$(curl --silent --output /dev/null --write-out '%{http_code}' --data currency=EUR http://shop.test/orders)"
