"""The questions, one small file each, in the order in which a person would look.

Reading order: docker_down, disk_full, usage_unwritten, memory_low, egress_unprotected,
driver_missing, gpu_lost, gpu_hot, log_broken, clock_skew, registry_silent.
"""

from agent.health.check import Check
from agent.health.checks import (
    clock_skew,
    disk_full,
    docker_down,
    driver_missing,
    egress_unprotected,
    gpu_hot,
    gpu_lost,
    log_broken,
    memory_low,
    registry_silent,
    usage_unwritten,
)

CHECKS: tuple[Check, ...] = (
    docker_down.CHECK,
    disk_full.CHECK,
    usage_unwritten.CHECK,
    memory_low.CHECK,
    egress_unprotected.CHECK,
    driver_missing.CHECK,
    gpu_lost.CHECK,
    gpu_hot.CHECK,
    log_broken.CHECK,
    clock_skew.CHECK,
    registry_silent.CHECK,
)
