"""What is durable stays so under kill -9, full disks and crowds; `faults/` holds what breaks the processes."""
