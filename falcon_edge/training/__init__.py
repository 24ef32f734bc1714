"""Training and fine-tuning with distillation, on one machine."""
