"""What lies here is put into a generated repository; only how it gets there is tested here."""

collect_ignore = ["app", "smoke", "tests"]
