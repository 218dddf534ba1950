import GatewayTerms
import Proxy
import Testing

@testable import ControlPlane

@Suite("The text that Prometheus fetches")
struct ExpositionTests {
    @Test("Labels are escaped, so that no name can end its line or its label")
    func escapes() {
        var text = ExpositionText()
        text.family(MetricFamily("gw_x", .gauge, "Back\\slash and\nline.")) { $0.add(["a": "b\"c\\d\ne"], 1) }
        #expect(text.text == "# HELP gw_x Back\\\\slash and\\nline.\n# TYPE gw_x gauge\ngw_x{a=\"b\\\"c\\\\d\\ne\"} 1\n")
    }

    @Test("A histogram's buckets only grow, and the last one is its count")
    func histogram() {
        var duration = DurationHistogram()
        for nanoseconds: Int64 in [500_000, 3_000_000, 90_000_000_000] { duration.record(nanoseconds) }
        var text = ExpositionText()
        text.family(MetricFamily("gw_y", .histogram, "Y.")) { $0.add([("stage", "a")], duration) }
        let lines = text.text.split(separator: "\n")
        #expect(lines.contains("gw_y_bucket{stage=\"a\",le=\"0.001\"} 1"))
        #expect(lines.contains("gw_y_bucket{stage=\"a\",le=\"0.005\"} 2"))
        #expect(lines.contains("gw_y_bucket{stage=\"a\",le=\"60\"} 2"))
        #expect(lines.contains("gw_y_bucket{stage=\"a\",le=\"+Inf\"} 3"))
        #expect(lines.contains("gw_y_count{stage=\"a\"} 3"))
    }

    @Test("Series of all loops are summed under the names of their numbers")
    func sums() {
        let names = MetricNames()
        let route = names.routes.number("alpha", "/api")
        var one = WorkerReading(), two = WorkerReading()
        let series = RequestSeries(listener: 0, route: route, method: .get, codeClass: .success, flag: nil)
        one.counters.requestSeries.add(series.key, 2)
        two.counters.requestSeries.add(series.key, 3)
        // Two methods that are written alike are one sample.
        for method in [GatewayTerms.Method.connect, .trace] {
            one.counters.requestSeries.add(RequestSeries(listener: 0, route: 0, method: method, codeClass: .clientError, flag: 0).key)
        }
        let text = MetricsExposition.text(StatusReportTests.reading { $0.worker = one + two }, names)
        #expect(text.contains("gw_requests_total{listener=\"[::]:8443\",stage=\"alpha\",route=\"/api\",method=\"GET\",code_class=\"2xx\",flag=\"none\"} 5\n"))
        #expect(text.contains("gw_requests_total{listener=\"[::]:8443\",stage=\"\",route=\"\",method=\"other\",code_class=\"4xx\",flag=\"NR\"} 2\n"))
    }
}
