/// Namespaces and the file system of a zygote. Single-threaded, before Python starts.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace weft::zygote {

/// What could not be set up, with its errno; becomes ControlReply::Kind::kFailed.
class JailError : public std::runtime_error {
 public:
  explicit JailError(const std::string& what);
  int code() const { return code_; }

 private:
  int code_;
};

/// The only uid and gid inside a jail.
constexpr unsigned kJailId = 65534;

/// What the program was started with.
struct JailOptions {
  std::string tier;            ///< "A", "B" or "C", see sandbox/jail/sandbox.h
  unsigned host_id = kJailId;  ///< uid and gid on the host of jailed processes started by root
  bool workflows = false;      ///< many jobs at a time
  bool bare = false;           ///< without the helpers of kBuiltin jobs
  std::string packages;        ///< folder to offer as kPackages; empty: none
  unsigned hash_seed = 0;
};

constexpr const char* kPackages = "/packages";
constexpr const char* kScratch = "/tmp";
constexpr const char* kTimeZones = "/usr/share/zoneinfo";
constexpr const char* kStandardInput = "/dev/stdin";

/// Tiers A and B: moves the caller into new namespaces (its next child into a new PID namespace).
/// A: and gives it the jail's uid, with all capabilities there; root maps to host_id, anybody else
/// to themselves. B: the caller must be root.
void enter_namespaces(const JailOptions& options);

/// From root to `id`, with or without the capabilities that it has.
void become_user(unsigned id, bool keep_capabilities);

/// Gives up all capabilities but those of `mask`, bits 0 to 31 of the kernel's numbering.
void keep_capabilities(uint32_t mask);

/// The kernel, out of memory, kills the caller and what it forks before any other process. Where
/// /proc cannot be written nothing changes.
void be_killed_first();

/// What must be read of /proc before it is gone.
struct ProcHandles {
  int pid_namespace = -1;  ///< of the caller
  int statm = -1;
};
ProcHandles open_proc_handles();

/// Bytes of address space of the caller, read from ProcHandles::statm.
int64_t address_space_bytes(int statm);

/// A read-only tmpfs as root with the Python library, shared libraries, three devices, the time
/// zones where the machine has them, and an empty kStandardInput.
void enter_root(const JailOptions& options);

/// In a child: a mount namespace of its own.
void leave_shared_mounts();

/// Then: an empty tmpfs of that size as kScratch and current folder. `names_input`: descriptor 0 is
/// read to its end and becomes a file, read-only, that is kStandardInput too; the folder's size is
/// larger by it.
void mount_scratch(uint32_t megabytes, bool names_input);

/// Then: files of kScratch that nobody can write, replace or remove; `archive` is a descriptor with
/// a FileHeader and the bytes of each. They take of the folder's size.
void place_files(int archive, uint32_t num_files);

}  // namespace weft::zygote
