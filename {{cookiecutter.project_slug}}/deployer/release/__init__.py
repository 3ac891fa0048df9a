"""What is wanted against what is live? The plan is pure, `apply` carries it out."""
