package import GatewayConfiguration

/// One difference between two configurations, in an operator's words.
package struct Change: Sendable, Equatable, CustomStringConvertible {
    package enum Effect: String, Sendable, CaseIterable {
        /// Somebody gets with less than before what the gateway guards.
        case weaker
        case stronger
        case neutral
    }

    /// `nil`: the process's part.
    package let stage: String?
    /// As diagnostics name it: `routes[3]`, `identity.clients`.
    package let setting: String
    /// Without the stage's name and without a full stop, the same for the same change: what `approve` repeats.
    package let sentence: String
    package let effect: Effect
    /// In the new configuration.
    @Incidental package var location: SourceLocation

    package init(stage: String?, setting: String, _ sentence: String, _ effect: Effect, at location: SourceLocation) {
        (self.stage, self.setting, self.sentence, self.effect) = (stage, setting, sentence, effect)
        _location = Incidental(wrappedValue: location)
    }

    package var description: String { "\(stage ?? "gateway"): \(sentence)" }
}
