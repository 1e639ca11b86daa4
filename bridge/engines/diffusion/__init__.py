"""Engines whose models run in diffusers; importing this loads neither torch nor diffusers, building one does."""

from bridge.engines.diffusion.ace_step import AceStepEngine
from bridge.engines.diffusion.audioldm2 import AudioLdm2Engine
from bridge.engines.diffusion.stable_audio import StableAudioEngine

__all__ = ["AceStepEngine", "AudioLdm2Engine", "StableAudioEngine"]
