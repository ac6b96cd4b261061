// An array in the device's memory, for tests: of the emulator or of a GPU, whichever the program is
// linked with. New memory is all ones in the emulator (NaN as a float), so that a result that
// nobody wrote is no number.
#pragma once

#include <cstddef>
#include <vector>

namespace mayfly::cuda {

// tests/cuda/emulator/memory.cpp or tests/cuda/gpu_memory.cpp. Throw when they fail.
void* device_allocate(std::size_t bytes);
void device_free(void* pointer);
void upload(void* to_device, const void* from_host, std::size_t bytes);
// Waits for the kernels that were started before.
void download(void* to_host, const void* from_device, std::size_t bytes);

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count)
      : data_(static_cast<T*>(device_allocate(count * sizeof(T)))), count_(count) {}
  explicit DeviceArray(const std::vector<T>& from) : DeviceArray(from.size()) {
    write(from);
  }
  DeviceArray(DeviceArray&& from) noexcept : data_(from.data_), count_(from.count_) {
    from.data_ = nullptr;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  DeviceArray& operator=(DeviceArray&&) = delete;
  ~DeviceArray() {
    if (data_ != nullptr) device_free(data_);
  }

  T* data() const {
    return data_;
  }
  std::size_t size() const {
    return count_;
  }
  void write(const std::vector<T>& from) {
    upload(data_, from.data(), from.size() * sizeof(T));
  }
  std::vector<T> read() const {
    std::vector<T> copy(count_);
    download(copy.data(), data_, count_ * sizeof(T));
    return copy;
  }

 private:
  T* data_;
  std::size_t count_;
};

// A device array of which the first `offset` elements are not used.
template <class T>
DeviceArray<T> placed(const std::vector<T>& numbers, std::size_t offset) {
  std::vector<T> all(offset);
  all.insert(all.end(), numbers.begin(), numbers.end());
  return DeviceArray<T>(all);
}

template <class T>
std::vector<T> without(std::size_t offset, std::vector<T> all) {
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(offset));
  return all;
}

}  // namespace mayfly::cuda
