// SPDX-License-Identifier: Apache-2.0
//
// Ports and sockets in all states, and made /proc trees for who holds them.
#include "clients/cli/doctor/daemon_checks.h"

#include <arpa/inet.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/testing/temporary_folder.h"

namespace omg::cli::doctor {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

PortState port(std::vector<PortOwner> owners) {
  PortState state;
  state.host = "127.0.0.1";
  state.port = 11434;
  state.owners = std::move(owners);
  return state;
}

TEST(CheckPort, FreeOrOurs) {
  PortState state = port({});
  EXPECT_EQ(check_port(state).level, Level::kOk);
  EXPECT_TRUE(has(check_port(state).text, "127.0.0.1:11434 is free"));
  state.daemon = DaemonHealth{OMG_VERSION, 42};
  EXPECT_TRUE(has(check_port(state).text, "on another port or none"));
  state.owners = {{"127.0.0.1", 0, 42, "ohmygpu", "omg serve"}};
  state.is_daemon_on_port = true;
  EXPECT_EQ(check_port(state).text, "127.0.0.1:11434: the daemon (process 42) listens");
  state.daemon->version = "0.0.0-old";
  EXPECT_EQ(check_port(state).level, Level::kWarning);
  EXPECT_TRUE(has(check_port(state).fix, "omg serve stop"));
  state = port({});
  state.port = 0;
  EXPECT_EQ(check_port(state).text, "any that is free");
}

TEST(CheckPort, TakenByWhom) {
  const Finding python =
      check_port(port({{"0.0.0.0", 0, 77, "python3", "python3 -m http.server"}}));
  EXPECT_EQ(python.level, Level::kProblem);
  EXPECT_EQ(python.text,
            "127.0.0.1:11434 is taken by python3 (process 77: python3 -m http.server)");
  EXPECT_EQ(python.fix, "stop it: 'kill 77'; or take another port: 'omg config set port 11435'");

  const Finding ollama = check_port(port({{"127.0.0.1", 999, 5, "ollama", "ollama serve"}}));
  EXPECT_TRUE(has(ollama.fix, "systemctl stop ollama"));

  PortState hidden = port({{"127.0.0.1", 999, 0, "", ""}});
  EXPECT_TRUE(has(check_port(hidden).text, "a program of user 999"));
  EXPECT_TRUE(has(check_port(hidden).fix, "sudo ss -ltnp sport = :11434"));
  hidden.is_ollama = true;
  EXPECT_TRUE(has(check_port(hidden).text, "Ollama, as a program of user 999"));
  EXPECT_TRUE(has(check_port(hidden).fix, "systemctl stop ollama"));
  hidden.daemon = DaemonHealth{OMG_VERSION, 42};
  EXPECT_EQ(check_port(hidden).level, Level::kWarning) << "commands reach the daemon all the same";
}

SocketState socket_state(SocketState::Kind kind, SocketState::Answer answer) {
  SocketState state;
  state.path = "/run/user/1/ohmygpu.sock";
  state.kind = kind;
  state.answer = answer;
  state.owner = state.user = 1;
  state.mode = 0600;
  return state;
}

TEST(CheckSocket, EachState) {
  using Kind = SocketState::Kind;
  using Answer = SocketState::Answer;
  EXPECT_EQ(check_socket(SocketState()).level, Level::kOk);
  EXPECT_EQ(check_socket(socket_state(Kind::kMissing, Answer::kNone)).level, Level::kOk);
  SocketState state = socket_state(Kind::kSocket, Answer::kYes);
  EXPECT_EQ(check_socket(state).level, Level::kOk);
  state.mode = 0666;
  EXPECT_EQ(check_socket(state).level, Level::kWarning);
  EXPECT_TRUE(has(check_socket(state).text, "mode 0666"));
  EXPECT_EQ(check_socket(state).fix, "chmod 600 /run/user/1/ohmygpu.sock");

  const Finding stale = check_socket(socket_state(Kind::kSocket, Answer::kRefused));
  EXPECT_EQ(stale.level, Level::kWarning);
  EXPECT_TRUE(has(stale.text, "left over"));

  state = socket_state(Kind::kSocket, Answer::kForbidden);
  state.owner = 0;
  EXPECT_EQ(check_socket(state).level, Level::kProblem);
  EXPECT_TRUE(has(check_socket(state).text, "belongs to user 0"));

  EXPECT_EQ(check_socket(socket_state(Kind::kOther, Answer::kNone)).level, Level::kProblem);
  state = socket_state(Kind::kMissing, Answer::kNone);
  state.folder_refusal = "Permission denied in /run";
  EXPECT_EQ(check_socket(state).level, Level::kProblem);
  EXPECT_TRUE(has(check_socket(state).text, "Permission denied in /run"));
  state = socket_state(Kind::kMissing, Answer::kNone);
  state.path = "/" + std::string(200, 'x');
  EXPECT_EQ(check_socket(state).level, Level::kProblem);
  EXPECT_TRUE(has(check_socket(state).text, "201 bytes"));
}

TEST(CheckOtherMachine, AnswersOrNot) {
  EXPECT_EQ(check_other_machine("http://box:11434", DaemonHealth{"1", 2}).level, Level::kOk);
  const Finding none = check_other_machine("http://box:11434", std::nullopt);
  EXPECT_EQ(none.level, Level::kProblem);
  EXPECT_TRUE(has(none.fix, "OMG_HOST"));
}

TEST(LookAtSocket, LiveStaleAndFile) {
  const testing::TemporaryFolder temporary;
  const std::string path = temporary / "s";
  EXPECT_EQ(look_at_socket(path).kind, SocketState::Kind::kMissing);
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  path.copy(place.sun_path, sizeof place.sun_path - 1);
  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&place), sizeof place), 0);
  ASSERT_EQ(::listen(listening, 1), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  SocketState state = look_at_socket(path);
  EXPECT_EQ(state.answer, SocketState::Answer::kYes);
  EXPECT_EQ(state.mode, 0640u);
  EXPECT_EQ(state.owner, ::geteuid());
  ::close(listening);
  EXPECT_EQ(look_at_socket(path).answer, SocketState::Answer::kRefused);
  std::filesystem::remove(path);
  std::ofstream(path) << "x";
  EXPECT_EQ(look_at_socket(path).kind, SocketState::Kind::kOther);
}

/// A /proc with two listeners on port 11434 (2CAA) and one elsewhere.
class FakeProc : public ::testing::Test {
 protected:
  FakeProc() {
    const std::string heading = "  sl  local_address rem_address st tx_queue rx_queue\n";
    const std::string rest = " 00000000:00000000 00:00000000 00000000 ";
    write("/proc/net/tcp", heading + "   0: 0100007F:2CAA 00000000:0000 0A" + rest +
                               "1000        0 555 1\n" + "   1: 00000000:0016 00000000:0000 0A" +
                               rest + "0        0 556 1\n" +
                               "   2: 0100007F:2CAA 0100007F:9999 01" + rest +
                               "1000        0 557 1\n" + "garbage\n");
    write("/proc/net/tcp6", heading +
                                "   0: 00000000000000000000000000000000:2CAA "
                                "00000000000000000000000000000000:0000 0A" +
                                rest + "33        0 558 1\n");
    add_process("77", "python3", std::string("python3\0-m\0http.server\0", 23), "socket:[555]");
    add_process("78", "sshd", "sshd", "socket:[556]");
    write("/proc/self-made/comm", "not a process\n");
  }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path full = folder_.path() + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
  }
  void add_process(const std::string& number, const std::string& name, const std::string& command,
                   const std::string& socket) {
    write("/proc/" + number + "/comm", name + "\n");
    write("/proc/" + number + "/cmdline", command);
    const std::string fd = folder_ / ("proc/" + number + "/fd");
    std::filesystem::create_directories(fd);
    std::filesystem::create_symlink("/dev/null", fd + "/0");
    std::filesystem::create_symlink(socket, fd + "/3");
  }

  testing::TemporaryFolder folder_;
};

TEST_F(FakeProc, FindsProcessAndStranger) {
  const auto owners = port_owners("127.0.0.1", 11434, folder_.path());
  ASSERT_EQ(owners.size(), 2u);
  EXPECT_EQ(owners[0].process, 77);
  EXPECT_EQ(owners[0].program, "python3");
  EXPECT_EQ(owners[0].command, "python3 -m http.server");
  EXPECT_EQ(owners[0].address, "127.0.0.1");
  EXPECT_EQ(owners[0].user, 1000u);
  EXPECT_EQ(owners[1].process, 0) << "another user's: its descriptors cannot be read";
  EXPECT_EQ(owners[1].user, 33u);
  EXPECT_EQ(owners[1].address, "::");
}

TEST_F(FakeProc, OnlyWhatIsInTheWay) {
  EXPECT_TRUE(port_owners("127.0.0.1", 11435, folder_.path()).empty());
  EXPECT_EQ(port_owners("127.0.0.2", 11434, folder_.path()).size(), 1u) << "who takes any";
  EXPECT_EQ(port_owners("0.0.0.0", 11434, folder_.path()).size(), 2u);
  EXPECT_EQ(port_owners("localhost", 11434, folder_.path()).size(), 2u);
  EXPECT_TRUE(port_owners("127.0.0.1", 11434, "/nonexistent").empty());
}

TEST(PortOwners, OfThisProcess) {
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&place), size), 0);
  ASSERT_EQ(::listen(listening, 1), 0);
  ASSERT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&place), &size), 0);
  const auto owners = port_owners("127.0.0.1", ntohs(place.sin_port));
  ::close(listening);
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(owners[0].process, ::getpid());
  EXPECT_EQ(owners[0].program, "cli_test");
}

}  // namespace
}  // namespace omg::cli::doctor
