"""Objects in the local AWS's S3. Shell."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deployer.errors import DeployerError


def put(s3: Any, folder: str, name: str, body: bytes = b"") -> None:
    """Store an object as `/FOLDER/NAME`. Raises DeployerError when the local AWS does not take it."""
    try:
        if folder not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            where = {"LocationConstraint": s3.meta.region_name}
            outside = s3.meta.region_name != "us-east-1"  # where S3 takes no constraint
            s3.create_bucket(Bucket=folder, **({"CreateBucketConfiguration": where} if outside else {}))
        s3.put_object(Bucket=folder, Key=name, Body=body)
    except (BotoCoreError, ClientError) as error:
        raise _refused("put", folder, name, error) from error


def remove(s3: Any, folder: str, name: str) -> None:
    """Remove an object; one that is not there is fine. Raises DeployerError."""
    try:
        s3.delete_object(Bucket=folder, Key=name)
    except (BotoCoreError, ClientError) as error:
        raise _refused("remove", folder, name, error) from error


def publish(s3: Any, folder: str) -> None:
    """Let everybody on this machine read a folder's objects, without a signature. Raises DeployerError."""
    everybody = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{folder}/*",
    }
    try:
        s3.delete_public_access_block(Bucket=folder)
        s3.put_bucket_policy(
            Bucket=folder, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
        )
    except (BotoCoreError, ClientError) as error:
        raise _refused("publish", folder, "", error) from error


def _refused(what: str, folder: str, name: str, error: Exception) -> DeployerError:
    return DeployerError(
        f"the local AWS refuses to {what} /{folder}/{name}",
        found=f"found {error}",
        hint="run the rehearsal again",
    )
