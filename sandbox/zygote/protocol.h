/// What weft_zygote and the process that started it say to each other. Fixed-size structs and
/// numbers only: this header is all that the two programs share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

// Caps of a value on the wire, the same on both sides.
constexpr int kMaxValueDepth = 100;
constexpr size_t kMaxValueItems = 1'000'000;
constexpr size_t kMaxFrameBytes = 8 << 20;

/// Descriptors of a job. Standard input, output and error are 0, 1, 2.
constexpr int kChannelFd = 3;

/// Descriptor of the control socket in a freshly exec'd zygote (SOCK_SEQPACKET).
constexpr int kControlFd = 3;

enum class FrameType : uint32_t {
  // To the job.
  kJob = 1,  ///< first frame: (code, setup, entry_point) or what the flavour needs
  /// (args, kwargs) to call with, (statements, expression) to evaluate beside the code, or the text
  /// of an in-process test.
  kCall = 2,
  kEnd = 3,    ///< no further calls
  kReply = 4,  ///< answer to kRequest of the same id

  // From the job.
  kLocked = 15,          ///< first frame, before any guest code: the locks hold
  kLoaded = 16,          ///< the code ran to its end; calls follow
  kValue = 17,           ///< answer to kCall of the same id
  kRaised = 18,          ///< (type, message, [traceback]) instead of a value
  kUnserialisable = 19,  ///< the name of the type that is no plain data
  kTooLarge = 20,        ///< the value breaks a cap
  kNoEntry = 21,
  kLoadFailed = 22,  ///< as kRaised, by the code itself; of kStdio the only frame after kLocked
  kDone = 23,
  kRequest = 24,  ///< (name, arguments...) for the outside to do
};

struct FrameHeader {
  uint32_t length;  ///< of what follows the header
  FrameType type;
  uint32_t id;
};
static_assert(sizeof(FrameHeader) == 12);

/// What a child does with its job.
enum class ChildKind : uint32_t {
  kCall,      ///< runs code, answers calls of its entry point
  kInproc,    ///< runs code, then the text of each call beside it
  kStdio,     ///< runs code as __main__ on descriptors 0, 1, 2
  kChecker,   ///< runs trusted checker code with a proxy for the candidate
  kTool,      ///< kCall, with a function `http` whose kRequest frames the outside answers
  kBuiltin,   ///< calls a function of the zygote's own helpers on data
  kWorkflow,  ///< runs class Workflow with the weft module
};

constexpr uint32_t kControlMagic = 0x77656674;

constexpr size_t kMaxFileName = 100;

/// Stands before each file's bytes where a job's files are sent.
struct FileHeader {
  uint64_t size = 0;
  char name[kMaxFileName + 4] = {};  ///< ends with a zero
};

/// To the zygote, for kStart with three descriptors (channel, stdout, stderr), then stdin where
/// has_input, then the job's files where there are any.
struct ControlRequest {
  enum class Kind : uint32_t { kStart, kKill };
  uint32_t magic = kControlMagic;
  Kind kind = Kind::kStart;
  uint64_t job = 0;
  ChildKind child = ChildKind::kCall;
  /// MB of a fresh /tmp of the job's own, which then has a mount namespace of its own too.
  uint32_t scratch_mb = 0;
  int64_t memory_bytes = 0;
  int64_t cpu_seconds = 0;  ///< RLIMIT_CPU, a backstop
  int64_t max_procs = 0;
  uint64_t seed = 0;  ///< of `random` in the job
  uint32_t has_input = 0;
  uint32_t num_files = 0;  ///< read-only in the job's /tmp, of which they take their share
};

/// From the zygote. kStarted carries the child's pid as its SCM_CREDENTIALS, or as its status.
struct ControlReply {
  enum class Kind : uint32_t { kReady, kStarted, kExited, kFailed };
  uint32_t magic = kControlMagic;
  Kind kind = Kind::kReady;
  uint64_t job = 0;
  int32_t status = 0;   ///< kExited: wait status; kStarted: pid, or 0
  int32_t error = 0;    ///< kFailed: errno
  int64_t cpu_us = 0;   ///< kExited: user and system time
  int64_t peak_kb = 0;  ///< kExited: resident
  char what[64] = {};   ///< kFailed: the step; kReady: the locks, "A landlock=7 seccomp"
};

}  // namespace weft
