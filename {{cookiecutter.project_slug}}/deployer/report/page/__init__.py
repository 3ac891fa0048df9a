"""What does a release look like? Charts and one HTML page. Pure; never in the durable function's Zip."""
