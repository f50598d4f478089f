import Datapath
import Policy

/// `weir agent --rehearse`: what a start with these options would do, and whether it would work. Changes nothing and needs no
/// lock: the agent that is to be replaced is running.
enum Rehearse {
  /// What `-o json` prints.
  struct Report: Codable {
    /// Whether a start would put the files in force.
    var works: Bool
    var version = Version.text
    /// nil where it was not got as far as that.
    var kernel: Rehearsal?
    var files = 0
    var objects = 0
    /// Why it would not work, a line each.
    var problems: [String] = []
  }

  static func report(_ given: Configuration) -> Report {
    var report = Report(works: false)
    do throws(Failure) {
      let (configuration, tree) = try Preflight.check(given)
      attempt(&report) { (_: inout Report) throws(Failure) in try Listeners.check(configuration) }
      attempt(&report) { (report: inout Report) throws(Failure) in try compile(configuration, tree, &report) }
      attempt(&report) { (report: inout Report) throws(Failure) in
        do throws(DatapathError) {
          report.kernel = try Datapath.rehearse(
            directory: configuration.bpffs, cgroupRoot: configuration.cgroupRoot)
        } catch { throw Failure(error) }
      }
    } catch {
      report.problems.append(error.description)
    }
    report.works = report.problems.isEmpty
    return report
  }

  private static func attempt(_ report: inout Report, _ body: (inout Report) throws(Failure) -> Void) {
    do throws(Failure) { try body(&report) } catch { report.problems.append(error.description) }
  }

  /// The files, with the numbers that names have; none is given away.
  private static func compile(
    _ configuration: Configuration, _ tree: CgroupTree, _ report: inout Report
  ) throws(Failure) {
    let workloads = Files.exists(configuration.workloads) ? [configuration.workloads] : []
    var reading = Library().read(configuration.policies + workloads)
    reading.set.joined = configuration.joined
    let (located, misplaced) = tree.locate(reading.set)
    (report.files, report.objects) = (reading.files, reading.objects)
    report.problems += (reading.problems + misplaced).map(\.description)
    if !report.problems.isEmpty { return }
    var numbers = try NumbersFile(path: configuration.numbers).load() ?? Numbers()
    var compiler = Compiler()
    do {
      _ = try compiler.compile(reading.set, presence: CgroupScan(located, tree).presence, numbers: &numbers)
    } catch {
      throw Failure("compile: \(error)")
    }
  }

  static func text(_ report: Report) -> String {
    var rows = [["weir", report.version + (report.kernel.map { ", layout \($0.layout)" } ?? "")]]
    if let kernel = report.kernel {
      let layouts = kernel.enforcing.map(String.init).joined(separator: " and ")
      rows.append(
        ["in force", kernel.enforcing.isEmpty ? "nothing" : "generation \(kernel.generation), layout \(layouts)"])
      let isSame = kernel.enforcing == [kernel.layout]
      let how =
        kernel.enforcing.isEmpty
        ? "attached, then the first generation" : isSame ? "replaced at the start" : "replaced with the first generation"
      rows.append(["programs", how])
      if !kernel.kept.isEmpty { rows.append(["kept", kernel.kept.joined(separator: " ")]) }
      for map in kernel.empty { rows.append(["starts empty", "\(map.name): \(map.reason)"]) }
      for sentence in kernel.missing { rows.append(["missing", sentence]) }
    }
    rows.append(["policies", "\(report.files) files, \(report.objects) objects"])
    rows.append(["works", report.works ? "yes" : "no"])
    return Table(rows).text() + report.problems.map { "\(Log.oneLine($0))\n" }.joined()
  }
}
