"""Is this host fit? ``look_*`` gathers what is there, ``judge_*`` says what it means (pure),
``repair`` carries out what is safe to mend."""
