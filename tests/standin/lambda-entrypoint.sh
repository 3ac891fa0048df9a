#!/bin/sh
# What /lambda-entrypoint.sh does in the AWS base images: the emulator in front of the runtime on a
# laptop, the runtime alone where Lambda provides the API.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
if [ $# -ne 1 ]; then
    echo "entrypoint requires the handler name to be the first argument" >&2
    exit 142
fi
export _HANDLER="$1"
if [ -z "${AWS_LAMBDA_RUNTIME_API}" ]; then
    exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
fi
exec /var/runtime/bootstrap
