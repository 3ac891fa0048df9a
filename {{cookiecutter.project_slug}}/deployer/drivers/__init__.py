"""Who waits between two looks? The durable function, or CodeDeploy. Shell."""
