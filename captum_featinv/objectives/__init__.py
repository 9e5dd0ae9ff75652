"""What an image is optimised for: losses, lower is better, as in Lucent. The loop never negates."""
