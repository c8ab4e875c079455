"""The documentation site: ``docs/*.md`` and pages made from the code, in English and Spanish."""
