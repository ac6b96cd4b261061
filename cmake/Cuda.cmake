# The CUDA language. CMake 3.25 does not know that nvcc speaks C++20 and would silently pass no
# dialect at all, so the option is filled in where it is empty.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  # T4; A100; A10, RTX 30; L4, L40, RTX 40; H100, H200; B200; RTX 50, and code for what comes after
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
foreach(kind STANDARD EXTENSION)
  if(NOT CMAKE_CUDA20_${kind}_COMPILE_OPTION)
    set(CMAKE_CUDA20_${kind}_COMPILE_OPTION "-std=c++20")
  endif()
endforeach()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
