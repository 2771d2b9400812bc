#include "base/gzip.h"

#define ZLIB_CONST  // zlib takes input that it does not change
#include <zlib.h>

#include <array>
#include <streambuf>
#include <string>

#include "base/error.h"

namespace weft {

namespace {

/// zlib hands on as it is what is not gzipped.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(const std::filesystem::path& path) : name_(path.string()) {
    if (std::filesystem::is_directory(path)) {
      throw InputError("cannot read " + name_ + ": is a directory");
    }
    file_ = gzopen(path.c_str(), "rbe");
    if (!file_) throw InputError(with_errno("cannot read " + name_));
  }
  ~TextBuffer() override { gzclose(file_); }

 protected:
  int_type underflow() override {
    const int size = gzread(file_, bytes_.data(), static_cast<unsigned>(bytes_.size()));
    int code = Z_OK;
    const char* problem = gzerror(file_, &code);
    if (code != Z_OK && code != Z_STREAM_END) {
      throw InputError("cannot read " + name_ + ": " +
                       (code == Z_ERRNO ? with_errno("reading") : std::string(problem)));
    }
    if (size <= 0) return traits_type::eof();
    setg(bytes_.data(), bytes_.data(), bytes_.data() + size);
    return traits_type::to_int_type(bytes_[0]);
  }

 private:
  const std::string name_;
  gzFile file_ = nullptr;
  std::array<char, 1 << 16> bytes_;
};

class TextStream : public std::istream {
 public:
  explicit TextStream(const std::filesystem::path& path) : std::istream(nullptr), buffer_(path) {
    rdbuf(&buffer_);
    exceptions(std::ios::badbit);  // what the buffer throws reaches the reader
  }

 private:
  TextBuffer buffer_;
};

}  // namespace

std::unique_ptr<std::istream> open_text(const std::filesystem::path& path) {
  return std::make_unique<TextStream>(path);
}

std::string unpack_zlib(std::string_view bytes, const std::string& where, size_t most_bytes) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw Error(where + ": zlib cannot start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> owned(&stream, &inflateEnd);
  stream.next_in = reinterpret_cast<const Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string text;
  std::array<char, 1 << 16> part;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(part.data());
    stream.avail_out = part.size();
    status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END) throw InputError(where + ": broken zlib data");
    text.append(part.data(), part.size() - stream.avail_out);
    if (text.size() > most_bytes) {
      throw InputError(where + ": more than " + std::to_string(most_bytes) + " bytes unpacked");
    }
  }
  return text;
}

}  // namespace weft
