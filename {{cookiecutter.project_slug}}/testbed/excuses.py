"""Rights that AWS's resource schemas list and that are not asked for, with the reason. Data.

Most belong to a property: where a resource sets it, the right is asked for. An excuse that matches no right
of a resource type in use, or whose rights the stack roles have, fails a test.
"""

from __future__ import annotations

from testbed.enforcement.settings import Excuse

_FUNCTION, _ALIAS = r"AWS::Lambda::Function", r"AWS::Lambda::Alias"
_VERSIONED = r"AWS::Lambda::(Alias|Version)"
_TABLE = r"AWS::DynamoDB::Table"
_GROUP, _BUCKET = r"AWS::Logs::LogGroup", r"AWS::S3::Bucket"

EXCUSES: tuple[Excuse, ...] = (
    # Roles
    Excuse(
        r"AWS::IAM::Role", r"iam:(Attach|Detach)RolePolicy", "for managed policies", ("ManagedPolicyArns",)
    ),
    Excuse(
        r"AWS::IAM::Role",
        r"iam:((Put|Delete)RolePermissionsBoundary|UpdateAssumeRolePolicy)",
        "a role that exists keeps its ceiling and its trust: changing either is an administrator's",
    ),
    Excuse(r"AWS::IAM::Role", r"iam:UpdateRoleDescription", "older name of iam:UpdateRole", ("Description",)),
    # Functions, versions, aliases
    Excuse(_FUNCTION, r"kms:.*", "for a key of the owner's", ("KmsKeyArn",)),
    Excuse(
        _FUNCTION,
        r"(ec2|elasticfilesystem|s3files):.*",
        "for a function in a VPC or with a file system",
        ("VpcConfig", "FileSystemConfigs"),
    ),
    Excuse(_FUNCTION, r"s3:GetObject(Version)?", "for code in a bucket", ("Code.S3Bucket",)),
    Excuse(_FUNCTION, r"lambda:GetLayerVersion", "for layers", ("Layers",)),
    Excuse(
        _FUNCTION,
        r"lambda:(GetCodeSigningConfig|(Put|Delete)FunctionCodeSigningConfig)",
        "for signed code, which images cannot have",
        ("CodeSigningConfigArn",),
    ),
    Excuse(
        _FUNCTION,
        r"lambda:(PutRuntimeManagementConfig|AssociateRuntimeAlias)",
        "for a chosen runtime version",
        ("RuntimeManagementConfig",),
    ),
    Excuse(_FUNCTION, r"lambda:PutFunctionRecursionConfig", "for allowed loops", ("RecursiveLoop",)),
    Excuse(
        r"AWS::Lambda::(Function|Version)",
        r"lambda:(PutFunctionScalingConfig|PassCapacityProvider)",
        "for functions on instances of the owner's",
        ("CapacityProviderConfig", "FunctionScalingConfig"),
    ),
    Excuse(
        r"AWS::Lambda::Version",
        r"lambda:PutRuntimeManagementConfig",
        "for a chosen runtime version",
        ("RuntimePolicy",),
    ),
    Excuse(
        _VERSIONED,
        r"lambda:(Put|Delete)ProvisionedConcurrencyConfig",
        "for warm capacity in the template; the deployer sets it itself",
        ("ProvisionedConcurrencyConfig",),
    ),
    Excuse(_ALIAS, r"codedeploy:.*", "for an update policy with CodeDeploy, which no template here has"),
    # Logs
    Excuse(_GROUP, r"logs:(Associate|Disassociate)KmsKey", "for a key of the owner's", ("KmsKeyId",)),
    Excuse(
        _GROUP,
        r"logs:(Put|Delete)DataProtectionPolicy",
        "for a data protection policy",
        ("DataProtectionPolicy",),
    ),
    Excuse(_GROUP, r"logs:(Put|Delete)IndexPolicy", "for field indexes", ("FieldIndexPolicies",)),
    Excuse(
        _GROUP, r"logs:(Put|Delete)ResourcePolicy", "for a policy of its own", ("ResourcePolicyDocument",)
    ),
    Excuse(
        _GROUP,
        r"logs:PutLogGroupDeletionProtection",
        "for protection from deletion",
        ("DeletionProtectionEnabled",),
    ),
    Excuse(
        _GROUP,
        r"logs:PutBearerTokenAuthentication",
        "for bearer tokens",
        ("BearerTokenAuthenticationEnabled",),
    ),
    Excuse(
        _GROUP,
        r"logs:CreateLogDelivery|s3:REST\.PUT\.OBJECT|firehose:.*",
        "for the class of log groups that deliver elsewhere",
        ("LogGroupClass",),
    ),
    # Buckets
    Excuse(
        _BUCKET,
        r"s3:(Get|Put)AccelerateConfiguration",
        "for transfer acceleration",
        ("AccelerateConfiguration",),
    ),
    Excuse(
        _BUCKET,
        r"s3:(Get|Put|DeleteBucket)AnalyticsConfiguration",
        "for storage class analysis",
        ("AnalyticsConfigurations",),
    ),
    Excuse(_BUCKET, r"s3:(Get|Put)BucketAbac", "for access by tags", ("AbacStatus",)),
    Excuse(
        _BUCKET,
        r"s3:((Get|Put)BucketAcl|PutObjectAcl)",
        "for access control lists, which these buckets switch off",
        ("AccessControl",),
    ),
    Excuse(_BUCKET, r"s3:((Get|Put)BucketCORS|DeleteBucketCors)", "for CORS", ("CorsConfiguration",)),
    Excuse(_BUCKET, r"s3:(Get|Put)BucketLogging", "for access logs", ("LoggingConfiguration",)),
    Excuse(_BUCKET, r"s3:(Get|Put|Delete)BucketWebsite", "for web sites", ("WebsiteConfiguration",)),
    Excuse(
        _BUCKET,
        r"s3:((Get|Put)BucketObjectLockConfiguration|PutObjectLockConfiguration)",
        "for object locks",
        ("ObjectLockConfiguration", "ObjectLockEnabled"),
    ),
    Excuse(
        _BUCKET,
        r"s3:(Get|Put)IntelligentTieringConfiguration",
        "for tiering",
        ("IntelligentTieringConfigurations",),
    ),
    Excuse(_BUCKET, r"s3:(Get|Put)InventoryConfiguration", "for inventories", ("InventoryConfigurations",)),
    Excuse(
        _BUCKET,
        r"s3:(Get|Put|DeleteBucket)MetricsConfiguration",
        "for request metrics",
        ("MetricsConfigurations",),
    ),
    Excuse(
        _BUCKET,
        r"s3:((Get|Put)ReplicationConfiguration|(Put|Delete)BucketReplication)|iam:PassRole",
        "for replication",
        ("ReplicationConfiguration",),
    ),
    Excuse(
        _BUCKET,
        r"(s3tables:.*|s3:.*BucketMetadata.*)",
        "for metadata tables",
        ("MetadataConfiguration", "MetadataTableConfiguration"),
    ),
    Excuse(_BUCKET, r"s3:DeleteBucketEncryption", "a bucket is always encrypted", ()),
    Excuse(
        _BUCKET, r"s3:DeleteBucketLifecycle", "s3:PutLifecycleConfiguration is the right that S3 asks for"
    ),
    Excuse(_BUCKET, r"s3:DeleteObject", "for a bucket that is emptied, which CloudFormation does not do"),
    # Topics
    Excuse(
        r"AWS::SNS::Topic",
        r"iam:(GetRole|PassRole)",
        "for the log of deliveries",
        ("DeliveryStatusLogging",),
    ),
    Excuse(
        r"AWS::SNS::Topic",
        r"sns:PutDataProtectionPolicy",
        "for a data protection policy",
        ("DataProtectionPolicy",),
    ),
    Excuse(r"AWS::SNS::Topic", r"sns:Unsubscribe", "the guard's subscription is never taken away"),
    # Tables
    Excuse(
        _TABLE,
        r"(dynamodb:(DescribeImport|ImportTable)|s3:.*|logs:.*)",
        "for a table that is filled from a bucket",
        ("ImportSourceSpecification",),
    ),
    Excuse(_TABLE, r"dynamodb:UpdateTimeToLive", "for items that expire", ("TimeToLiveSpecification",)),
    Excuse(
        _TABLE,
        r"dynamodb:UpdateContributorInsights",
        "for a report of busy keys",
        ("ContributorInsightsSpecification",),
    ),
    Excuse(
        _TABLE,
        r"dynamodb:UpdateContinuousBackups",
        "for backups of every second",
        ("PointInTimeRecoverySpecification",),
    ),
    Excuse(
        _TABLE,
        r"(dynamodb:(Enable|Disable|Update)KinesisStreamingDestination|kinesis:.*)",
        "for a stream in Kinesis",
        ("KinesisStreamSpecification",),
    ),
    Excuse(
        _TABLE,
        r"dynamodb:(Put|Delete)ResourcePolicy",
        "for a policy of its own",
        ("ResourcePolicy", "StreamSpecification"),
    ),
    Excuse(_TABLE, r"kms:.*", "for a key of the owner's", ("SSESpecification",)),
    Excuse(
        _TABLE,
        r"(dynamodb:((Create|Associate)TableReplica|Scan|Query|BatchWriteItem|(Update|Put|Get|Delete)Item)"
        r"|iam:CreateServiceLinkedRole)",
        "for replicas in other regions, which are another resource type",
    ),
)
