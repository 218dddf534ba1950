/// A moment of civil time, in whole milliseconds since 1970-01-01T00:00:00Z. Token times and log lines use it;
/// what is measured or waited for uses a monotonic clock instead.
package struct WallTime: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package init(seconds: Int64) { milliseconds = seconds.multipliedReportingOverflow(by: 1000).partialValue }

    /// Whole seconds since the epoch, rounded down (a JWT's NumericDate, RFC 7519 §2).
    package var seconds: Int64 { milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0) }

    package func advanced(by seconds: Int64) -> WallTime {
        WallTime(milliseconds: milliseconds &+ seconds &* 1000)
    }

    package static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }

    /// Year, month, day of the proleptic Gregorian calendar, for the log's and HTTP's date forms.
    package var civil: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, millisecond: Int, weekday: Int) {
        let days = Int((seconds >= 0 ? seconds : seconds - 86_399) / 86_400)
        let rest = Int(seconds) - days * 86_400
        // Howard Hinnant's days-to-civil, with eras of 400 years.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthIndex + 2) / 5 + 1,
            rest / 3600, rest / 60 % 60, rest % 60, Int((milliseconds % 1000 + 1000) % 1000), ((days + 4) % 7 + 7) % 7
        )
    }

    /// `2026-11-24T11:49:33.123Z` (RFC 3339, UTC, milliseconds).
    package var description: String {
        let now = civil
        func pad(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return "\(pad(now.year, 4))-\(pad(now.month, 2))-\(pad(now.day, 2))T\(pad(now.hour, 2)):\(pad(now.minute, 2)):\(pad(now.second, 2)).\(pad(now.millisecond, 3))Z"
    }

    /// `Tue, 24 Nov 2026 11:49:33 GMT` (IMF-fixdate, RFC 9110 §5.6.7).
    package var httpDate: String {
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let now = civil
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[now.weekday]), \(two(now.day)) \(months[now.month - 1]) \(now.year) \(two(now.hour)):\(two(now.minute)):\(two(now.second)) GMT"
    }
}
