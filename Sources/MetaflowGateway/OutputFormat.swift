internal import ArgumentParser

/// What a command prints: words for people, or one JSON document for programs.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case text, json }
