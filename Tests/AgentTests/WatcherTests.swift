import Glibc
import Testing

@testable import Agent

struct WatcherTests {
  private let place = TemporaryDirectory()

  private func watch(_ names: String...) throws -> Watcher {
    let watcher = try Watcher()
    #expect(watcher.arm(names.map { "\(place.path)/\($0)" }).isEmpty)
    #expect(!watcher.drain())
    return watcher
  }

  @Test func aFileWrittenRenamedOrRemovedInADirectoryIsTold() throws {
    mkdir("\(place.path)/p", 0o755)
    let watcher = try watch("p")
    place.write("p/a.yaml", "x")
    #expect(watcher.drain())
    #expect(!watcher.drain())
    rename("\(place.path)/p/a.yaml", "\(place.path)/p/b.yaml")
    #expect(watcher.drain())
    unlink("\(place.path)/p/b.yaml")
    #expect(watcher.drain())
  }

  @Test func readingIsNoChange() throws {
    mkdir("\(place.path)/p", 0o755)
    place.write("p/a.yaml", "x")
    let watcher = try watch("p")
    #expect(try Files.read("\(place.path)/p/a.yaml", limit: 10) == [UInt8(ascii: "x")])
    #expect(Files.names(in: "\(place.path)/p") == ["a.yaml"])
    #expect(!watcher.drain())
  }

  @Test func aDirectoryReplacedByAnotherIsToldAndTheNewOneIsWatched() throws {
    mkdir("\(place.path)/p", 0o755)
    mkdir("\(place.path)/q", 0o755)
    let watcher = try watch("p")
    place.write("unrelated", "x")
    #expect(!watcher.drain())
    rename("\(place.path)/p", "\(place.path)/old")
    rename("\(place.path)/q", "\(place.path)/p")
    #expect(watcher.drain())
    _ = watcher.arm(["\(place.path)/p"])
    _ = watcher.drain()
    place.write("p/new.yaml", "x")
    #expect(watcher.drain())
    place.write("old/gone.yaml", "x")
    #expect(!watcher.drain())
  }

  @Test func aDirectoryThatIsMissingIsToldWhenItComes() throws {
    let watcher = try watch("a/b")
    mkdir("\(place.path)/a", 0o755)
    #expect(watcher.drain())
    _ = watcher.arm(["\(place.path)/a/b"])
    _ = watcher.drain()
    mkdir("\(place.path)/a/b", 0o755)
    #expect(watcher.drain())
  }

  @Test func aSymbolicLinkTurnedToAnotherDirectoryIsTold() throws {
    for name in ["v1", "v2", "links"] { mkdir("\(place.path)/\(name)", 0o755) }
    symlink("../v1", "\(place.path)/links/current")
    symlink("links/current", "\(place.path)/p")
    let watcher = try watch("p")
    place.write("v1/a.yaml", "x")
    #expect(watcher.drain())
    symlink("../v2", "\(place.path)/links/next")
    #expect(!watcher.drain())
    rename("\(place.path)/links/next", "\(place.path)/links/current")
    #expect(watcher.drain())
    _ = watcher.arm(["\(place.path)/p"])
    _ = watcher.drain()
    place.write("v2/b.yaml", "x")
    #expect(watcher.drain())
  }

  @Test func aProjectedVolumeSwitchingItsDataIsTold() throws {
    mkdir("\(place.path)/p", 0o755)
    mkdir("\(place.path)/p/..one", 0o755)
    symlink("..one", "\(place.path)/p/..data")
    symlink("..data/a.yaml", "\(place.path)/p/a.yaml")
    let watcher = try watch("p")
    mkdir("\(place.path)/p/..two", 0o755)
    symlink("..two", "\(place.path)/p/..tmp")
    _ = watcher.drain()
    rename("\(place.path)/p/..tmp", "\(place.path)/p/..data")
    #expect(watcher.drain())
  }

  @Test func asAFileOnlyThatFileCounts() throws {
    place.write("a.yaml", "x")
    let watcher = try watch("a.yaml")
    place.write("b.yaml", "x")
    #expect(!watcher.drain())
    place.write("a.yaml", "y")
    #expect(watcher.drain())
  }
}
