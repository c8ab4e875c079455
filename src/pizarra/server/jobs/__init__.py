"""Jobs, the pump that carries them to the agent, and the audit."""
