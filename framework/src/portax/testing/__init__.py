"""What tests of portax, and people who freeze its opset, need of it."""
