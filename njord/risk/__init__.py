"""Whether? The gate decides on every intent, by rules that are one file each; nothing reaches a venue without it."""
