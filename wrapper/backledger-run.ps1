#Requires -Version 5.1
<#
.SYNOPSIS
Runs a backup command and tells Backledger how it went. One file, Windows PowerShell 5.1 or PowerShell 7.

.DESCRIPTION
    powershell -NoProfile -ExecutionPolicy Bypass -File backledger-run.ps1 -Job nightly wbadmin start backup -quiet

The twin of the Python wrapper: output passes through, the command's exit code becomes ours, what is told stands on disk
before it is sent, and is removed only once the service has said that it is stored. Handbook: docs/wrapper.md.
There is no param block: everything from the first word on that is no option of ours belongs to the command.
#>

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$Version = '1'
$MostBody = 24MB
$CutStream = 8KB
$CutFrom = 32KB
$SilentSeconds = 3
$FlushSeconds = 600
$Mask = '***'
$OnWindows = [IO.Path]::DirectorySeparatorChar -eq '\'
$Utf8 = New-Object System.Text.UTF8Encoding($false)
$Defaults = @{
    url = ''; key = ''; host = ''; timezone = ''; spool = ''; wait_seconds = '5'
    max_output_bytes = '8388608'; spool_max_bytes = '268435456'; spool_max_days = '30'
}

function Say([string]$Text) {
    try { [Console]::Error.WriteLine("backledger-run: $Text") } catch { $null = $_ }
}

# --- settings ----------------------------------------------------------------------------------------------------

function Read-Options([object[]]$Given) {
    # Our options, then the command. "--" between them is welcome; PowerShell itself may take it away.
    $options = @{
        job = ''; config = ''; format = ''; selection = ''; measure = @(); exclude = @(); excludefile = @()
        measurelist = $false; flush = $false; check = $false; status = $false; retryrefused = $false; command = @()
    }
    $words = @()
    foreach ($one in $Given) { $words += , (($one | ForEach-Object { "$_" }) -join ',') }
    $at = 0
    while ($at -lt $words.Count) {
        $word = $words[$at]
        if ($word -eq '--') { $at++; break }
        if (-not $word.StartsWith('-')) { break }
        $name = $word.TrimStart('-').Replace('-', '').ToLowerInvariant()
        if ($name -eq 'command' -or -not $options.ContainsKey($name)) { Stop-Misused "$word is no option of ours." }
        if ($options[$name] -is [bool]) { $options[$name] = $true; $at++; continue }
        if ($at + 1 -ge $words.Count) { Stop-Misused "$word needs a value." }
        if ($options[$name] -is [array]) { $options[$name] += , $words[$at + 1] } else { $options[$name] = $words[$at + 1] }
        $at += 2
    }
    if ($at -lt $words.Count) { $options.command = @($words[$at..($words.Count - 1)]) }
    $alone = @('flush', 'check', 'status', 'retryrefused' | Where-Object { $options[$_] }).Count
    $measures = $options.measure.Count -gt 0 -or $options.selection -ne ''
    if ($alone -gt 1 -or ($alone -eq 1 -and $options.command.Count -gt 0)) {
        Stop-Misused '-Flush, -Check, -Status and -RetryRefused stand alone.'
    }
    if ($alone -eq 0 -and $options.command.Count -eq 0 -and -not $measures) {
        Stop-Misused 'name the command, as in: backledger-run.ps1 -Job nightly wbadmin start backup -quiet'
    }
    return $options
}

function Stop-Misused([string]$Text) {
    Say $Text
    exit 2
}

function Read-Settings([string]$Config) {
    $values = $Defaults.Clone()
    $paths = @($Config)
    if ($Config -eq '') {
        $common = if ($OnWindows) { Join-Path $env:ProgramData 'backledger.conf' } else { '/etc/backledger.conf' }
        $paths = @($common, [IO.Path]::Combine($HOME, '.config', 'backledger.conf'))
    }
    foreach ($path in $paths) {
        if ($Config -ne '' -or [IO.File]::Exists($path)) { Read-Config $path $values }
    }
    foreach ($name in @($Defaults.Keys)) {
        $value = [Environment]::GetEnvironmentVariable('BACKLEDGER_' + $name.ToUpperInvariant())
        if ($value) { $values[$name] = $value.Trim() }
    }
    foreach ($name in 'wait_seconds', 'max_output_bytes', 'spool_max_bytes', 'spool_max_days') {
        $number = [double]0
        $style = [Globalization.NumberStyles]::AllowDecimalPoint
        $plain = [Globalization.CultureInfo]::InvariantCulture
        if (-not [double]::TryParse($values[$name], $style, $plain, [ref]$number)) {
            Say "$name = $($values[$name]) is no number: $($Defaults[$name]) is used"
            $number = [double]$Defaults[$name]
        }
        $values[$name] = $number
    }
    $values.url = $values.url.TrimEnd('/')
    $values.max_output_bytes = [int][Math]::Min([Math]::Max($values.max_output_bytes, 65536), 67108864)
    if ($values.host -eq '') { $values.host = [Net.Dns]::GetHostName() }
    if ($values.timezone -eq '') { $values.timezone = Get-LocalZone }
    if ($values.spool -eq '') { $values.spool = Get-DefaultSpool }
    return $values
}

function Read-Config([string]$Path, [hashtable]$Values) {
    try { $lines = [IO.File]::ReadAllLines($Path) } catch { Say "$Path cannot be read: $($_.Exception.Message)"; return }
    foreach ($line in $lines) {
        $text = $line.Trim()
        if ($text -eq '' -or '#;['.Contains($text.Substring(0, 1))) { continue }
        $name, $value = $text.Split([char[]]'=', 2)
        $name = $name.Trim().ToLowerInvariant() -replace '^backledger_', ''
        if ($null -eq $value -or -not $Defaults.ContainsKey($name)) {
            Say "${Path}: $name is no setting; known are $(($Defaults.Keys | Sort-Object) -join ', ')"
            continue
        }
        $Values[$name] = $value.Trim().Trim([char[]]"`"'")
    }
}

function Get-Missing($Settings) {
    foreach ($name in 'url', 'key') {
        if ($Settings[$name] -eq '') { return "no $name is set: put $name = ... into backledger.conf" }
    }
    if ($Settings.url -notmatch '^https?://') { return 'url must begin with https://' }
    if ($Settings.key -notmatch '^[!-~]+$') { return 'the key has characters that no key has' }
    return ''
}

function Get-DefaultSpool {
    if (-not $OnWindows) { return [IO.Path]::Combine($HOME, '.local', 'state', 'backledger') }
    $who = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
    $all = $who.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    return [IO.Path]::Combine($(if ($all) { $env:ProgramData } else { $env:LOCALAPPDATA }), 'backledger')
}

# --- time zone ---------------------------------------------------------------------------------------------------

# Windows' names and those of IANA, from the Unicode CLDR; newer runtimes bring the table themselves.
$ZoneTable = @'
AUS Central Standard Time=Australia/Darwin;AUS Eastern Standard Time=Australia/Sydney
Afghanistan Standard Time=Asia/Kabul;Alaskan Standard Time=America/Anchorage;Aleutian Standard Time=America/Adak
Altai Standard Time=Asia/Barnaul;Arab Standard Time=Asia/Riyadh;Arabian Standard Time=Asia/Dubai
Arabic Standard Time=Asia/Baghdad;Argentina Standard Time=America/Buenos_Aires
Astrakhan Standard Time=Europe/Astrakhan;Atlantic Standard Time=America/Halifax
Aus Central W. Standard Time=Australia/Eucla;Azerbaijan Standard Time=Asia/Baku
Azores Standard Time=Atlantic/Azores;Bahia Standard Time=America/Bahia;Bangladesh Standard Time=Asia/Dhaka
Belarus Standard Time=Europe/Minsk;Bougainville Standard Time=Pacific/Bougainville
Canada Central Standard Time=America/Regina;Cape Verde Standard Time=Atlantic/Cape_Verde
Caucasus Standard Time=Asia/Yerevan;Cen. Australia Standard Time=Australia/Adelaide
Central America Standard Time=America/Guatemala;Central Asia Standard Time=Asia/Bishkek
Central Brazilian Standard Time=America/Cuiaba;Central Europe Standard Time=Europe/Budapest
Central European Standard Time=Europe/Warsaw;Central Pacific Standard Time=Pacific/Guadalcanal
Central Standard Time=America/Chicago;Central Standard Time (Mexico)=America/Mexico_City
Chatham Islands Standard Time=Pacific/Chatham;China Standard Time=Asia/Shanghai
Cuba Standard Time=America/Havana;Dateline Standard Time=Etc/GMT+12;E. Africa Standard Time=Africa/Nairobi
E. Australia Standard Time=Australia/Brisbane;E. Europe Standard Time=Europe/Chisinau
E. South America Standard Time=America/Sao_Paulo;Easter Island Standard Time=Pacific/Easter
Eastern Standard Time=America/New_York;Eastern Standard Time (Mexico)=America/Cancun
Egypt Standard Time=Africa/Cairo;Ekaterinburg Standard Time=Asia/Yekaterinburg;FLE Standard Time=Europe/Kiev
Fiji Standard Time=Pacific/Fiji;GMT Standard Time=Europe/London;GTB Standard Time=Europe/Bucharest
Georgian Standard Time=Asia/Tbilisi;Greenland Standard Time=America/Godthab
Greenwich Standard Time=Atlantic/Reykjavik;Haiti Standard Time=America/Port-au-Prince
Hawaiian Standard Time=Pacific/Honolulu;India Standard Time=Asia/Calcutta;Iran Standard Time=Asia/Tehran
Israel Standard Time=Asia/Jerusalem;Jordan Standard Time=Asia/Amman;Kaliningrad Standard Time=Europe/Kaliningrad
Korea Standard Time=Asia/Seoul;Libya Standard Time=Africa/Tripoli;Line Islands Standard Time=Pacific/Kiritimati
Lord Howe Standard Time=Australia/Lord_Howe;Magadan Standard Time=Asia/Magadan
Magallanes Standard Time=America/Punta_Arenas;Marquesas Standard Time=Pacific/Marquesas
Mauritius Standard Time=Indian/Mauritius;Middle East Standard Time=Asia/Beirut
Montevideo Standard Time=America/Montevideo;Morocco Standard Time=Africa/Casablanca
Mountain Standard Time=America/Denver;Mountain Standard Time (Mexico)=America/Mazatlan
Myanmar Standard Time=Asia/Rangoon;N. Central Asia Standard Time=Asia/Novosibirsk
Namibia Standard Time=Africa/Windhoek;Nepal Standard Time=Asia/Katmandu
New Zealand Standard Time=Pacific/Auckland;Newfoundland Standard Time=America/St_Johns
Norfolk Standard Time=Pacific/Norfolk;North Asia East Standard Time=Asia/Irkutsk
North Asia Standard Time=Asia/Krasnoyarsk;North Korea Standard Time=Asia/Pyongyang;Omsk Standard Time=Asia/Omsk
Pacific SA Standard Time=America/Santiago;Pacific Standard Time=America/Los_Angeles
Pacific Standard Time (Mexico)=America/Tijuana;Pakistan Standard Time=Asia/Karachi
Paraguay Standard Time=America/Asuncion;Qyzylorda Standard Time=Asia/Qyzylorda
Romance Standard Time=Europe/Paris;Russia Time Zone 10=Asia/Srednekolymsk;Russia Time Zone 11=Asia/Kamchatka
Russia Time Zone 3=Europe/Samara;Russian Standard Time=Europe/Moscow;SA Eastern Standard Time=America/Cayenne
SA Pacific Standard Time=America/Bogota;SA Western Standard Time=America/La_Paz
SE Asia Standard Time=Asia/Bangkok;Saint Pierre Standard Time=America/Miquelon
Sakhalin Standard Time=Asia/Sakhalin;Samoa Standard Time=Pacific/Apia;Sao Tome Standard Time=Africa/Sao_Tome
Saratov Standard Time=Europe/Saratov;Singapore Standard Time=Asia/Singapore
South Africa Standard Time=Africa/Johannesburg;South Sudan Standard Time=Africa/Juba
Sri Lanka Standard Time=Asia/Colombo;Sudan Standard Time=Africa/Khartoum;Syria Standard Time=Asia/Damascus
Taipei Standard Time=Asia/Taipei;Tasmania Standard Time=Australia/Hobart
Tocantins Standard Time=America/Araguaina;Tokyo Standard Time=Asia/Tokyo;Tomsk Standard Time=Asia/Tomsk
Tonga Standard Time=Pacific/Tongatapu;Transbaikal Standard Time=Asia/Chita;Turkey Standard Time=Europe/Istanbul
Turks And Caicos Standard Time=America/Grand_Turk;US Eastern Standard Time=America/Indianapolis
US Mountain Standard Time=America/Phoenix;UTC=Etc/UTC;UTC+12=Etc/GMT-12;UTC+13=Etc/GMT-13;UTC-02=Etc/GMT+2
UTC-08=Etc/GMT+8;UTC-09=Etc/GMT+9;UTC-11=Etc/GMT+11;Ulaanbaatar Standard Time=Asia/Ulaanbaatar
Venezuela Standard Time=America/Caracas;Vladivostok Standard Time=Asia/Vladivostok
Volgograd Standard Time=Europe/Volgograd;W. Australia Standard Time=Australia/Perth
W. Central Africa Standard Time=Africa/Lagos;W. Europe Standard Time=Europe/Berlin
W. Mongolia Standard Time=Asia/Hovd;West Asia Standard Time=Asia/Tashkent;West Bank Standard Time=Asia/Hebron
West Pacific Standard Time=Pacific/Port_Moresby;Yakutsk Standard Time=Asia/Yakutsk
Yukon Standard Time=America/Whitehorse
'@

function Get-LocalZone {
    $id = [TimeZoneInfo]::Local.Id
    if ($id.Contains('/') -or $id -eq 'UTC') { return $id }
    foreach ($pair in $ZoneTable.Split([char[]]";`r`n", [StringSplitOptions]::RemoveEmptyEntries)) {
        $name, $zone = $pair.Split([char[]]'=', 2)
        if ($name -eq $id) { return $zone }
    }
    return ''
}

# --- secrets on command lines ------------------------------------------------------------------------------------

$SecretName = '^(?!no[-_]|ask[-_])(?:.*(?:password|passwd|passphrase|passcode|secret|token|pwd|credentials?)|' +
    '(?:.*[-_.])?(?:pass|sas|sig|signature|(?:api|access|account|auth|encryption|private|shared)[-_]?key))' +
    '(?:[-_.](?:command|value|key|old|new|\d+))?$'
$Assigned = '^((?:--?|/)?[A-Za-z_][A-Za-z0-9_.-]{0,80}[=:])(?!\\)(.*)$'
$AttachedPrograms = 'mysql', 'mysqldump', 'mysqladmin', 'mariadb', 'mariadb-dump', 'mariabackup', '7z', '7za', 'rar'

function Get-MaskedWords([string[]]$Words) {
    # The same words with every password, token and key as ***.
    $program = if ($Words.Count) { [IO.Path]::GetFileNameWithoutExtension($Words[0]).ToLowerInvariant() } else { '' }
    $option = ''
    foreach ($word in $Words) {
        $shown = $word
        $hidden = $option.Length -gt 3 -and $option -match '^[-/]' -and $option.TrimStart([char[]]'-/') -match $SecretName
        if ($hidden) {
            $shown = $Mask
        } elseif ($program -eq 'curl' -and $option -cmatch '^(-u|--user|-U|--proxy-user)$') {
            $shown = $word -replace ':.*$', ":$Mask"
        } elseif ($AttachedPrograms -contains $program -and $word -cmatch '^-p.') {
            $shown = "-p$Mask"
        } elseif ($word -match $Assigned -and $Matches[1].Trim([char[]]'-/=:') -match $SecretName) {
            $null = $word -match $Assigned
            $shown = $Matches[1] + $Mask
        } else {
            $shown = Get-MaskedText $word
        }
        $option = if ($hidden) { '' } else { $word }
        $shown
    }
}

function Get-MaskedText([string]$Text) {
    # Logins in addresses, and secrets assigned inside a script or a query.
    $Text = $Text -replace '([A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/:@''"]{0,200}):[^\s/''"]{1,1000}@', "`$1:$Mask@"
    $words = 'password|passwd|passphrase|secret|token|pwd|api_?key|access_?key|account_?key|sas|sig'
    return $Text -replace "(?i)((?:^|[\s?&;-])[A-Za-z0-9_.-]{0,60}(?:$words)(?:\s*=\s*|:))(`"[^`"]*`"|'[^']*'|[^\s&;`"']+)", "`$1$Mask"
}

function Join-Arguments([string[]]$Words) {
    # One command line that a Windows program takes apart into the same words.
    $told = foreach ($word in $Words) {
        if ($word -ne '' -and $word -notmatch '[\s"]') { $word; continue }
        '"' + (($word -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1') + '"'
    }
    return @($told) -join ' '
}

# --- files that stay ---------------------------------------------------------------------------------------------

function Write-Durably([string]$Path, [byte[]]$Content) {
    $part = Join-Path ([IO.Path]::GetDirectoryName($Path)) ('.' + [Guid]::NewGuid().ToString('N') + '.part')
    $file = New-Object IO.FileStream($part, [IO.FileMode]::CreateNew, [IO.FileAccess]::Write, [IO.FileShare]::None, 65536)
    try {
        $file.Write($Content, 0, $Content.Length)
        $file.Flush($true)
    } finally {
        $file.Dispose()
    }
    if ([IO.File]::Exists($Path)) { [IO.File]::Replace($part, $Path, [NullString]::Value) } else { [IO.File]::Move($part, $Path) }
}

function ConvertTo-Gzip([byte[]]$Content) {
    $memory = New-Object IO.MemoryStream
    $packer = New-Object IO.Compression.GZipStream($memory, [IO.Compression.CompressionMode]::Compress, $true)
    $packer.Write($Content, 0, $Content.Length)
    $packer.Dispose()
    return , $memory.ToArray()
}

function ConvertFrom-Gzip([byte[]]$Content) {
    $source = New-Object IO.MemoryStream(, $Content)
    $packer = New-Object IO.Compression.GZipStream($source, [IO.Compression.CompressionMode]::Decompress)
    $memory = New-Object IO.MemoryStream
    $packer.CopyTo($memory)
    $packer.Dispose()
    return , $memory.ToArray()
}

function Open-Spool($Settings) {
    try { return New-Spool $Settings.spool } catch { Say "the spool $($Settings.spool) cannot be used: $($_.Exception.Message)" }
    return New-Spool ([IO.Path]::Combine([IO.Path]::GetTempPath(), 'backledger-' + [Guid]::NewGuid().ToString('N')))
}

function New-Spool([string]$Folder) {
    $fresh = -not [IO.Directory]::Exists($Folder)
    foreach ($name in 'waiting', 'refused', 'running') { $null = [IO.Directory]::CreateDirectory((Join-Path $Folder $name)) }
    if ($fresh -and $OnWindows) {
        $me = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
        $rights = '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F', "*${me}:(OI)(CI)F"
        $null = & icacls.exe $Folder /inheritance:r /grant:r $rights
    }
    return $Folder
}

function Join-Bytes([byte[]]$First, [byte[]]$Second) {
    # "+" would make objects of every single byte.
    $whole = New-Object byte[] ($First.Length + $Second.Length)
    [Array]::Copy($First, 0, $whole, 0, $First.Length)
    [Array]::Copy($Second, 0, $whole, $First.Length, $Second.Length)
    return , $whole
}

function Get-Items([string]$Spool, [string]$Kind) {
    # Paths of the envelopes, oldest first.
    $found = [IO.Directory]::GetFiles((Join-Path $Spool $Kind), '*.json.gz')
    [Array]::Sort($found, [StringComparer]::Ordinal)
    return , $found
}

function Open-Lock([string]$Path) {
    # An open file that nobody else can open; null while another process has it.
    try {
        return [IO.File]::Open($Path, [IO.FileMode]::OpenOrCreate, [IO.FileAccess]::ReadWrite, [IO.FileShare]::None)
    } catch [IO.IOException] {
        return $null
    }
}

# --- the command's output ----------------------------------------------------------------------------------------

function New-Capture([string]$Folder, [string]$Name, [int]$Limit) {
    # One stream on disk in pieces: the first and the newest three stay.
    return @{ base = (Join-Path $Folder $Name); size = [int]($Limit / 4); number = 0; filled = 0; file = $null; broken = '' }
}

function Add-Captured($Capture, [byte[]]$Data, [int]$Count) {
    $from = 0
    try {
        while ($from -lt $Count -and $Capture.broken -eq '') {
            if ($null -eq $Capture.file -or $Capture.filled -ge $Capture.size) { Open-NextPiece $Capture }
            $part = [Math]::Min($Count - $from, $Capture.size - $Capture.filled)
            $Capture.file.Write($Data, $from, $part)
            $Capture.filled += $part
            $from += $part
        }
        if ($null -ne $Capture.file) { $Capture.file.Flush() }
    } catch {
        $Capture.broken = $_.Exception.Message
    }
}

function Open-NextPiece($Capture) {
    if ($null -ne $Capture.file) {
        $Capture.file.Dispose()
        $Capture.number++
        if ($Capture.number -gt 3) { [IO.File]::Delete("$($Capture.base).$($Capture.number - 3)") }
    }
    $Capture.file = [IO.File]::Create("$($Capture.base).$($Capture.number)")
    $Capture.filled = 0
}

function Read-Captured([string]$Folder, [string]$Name, [int]$Limit) {
    $numbers = @([IO.Directory]::GetFiles($Folder, "$Name.*") | ForEach-Object { [int][IO.Path]::GetExtension($_).Substring(1) } | Sort-Object)
    $memory = New-Object IO.MemoryStream
    foreach ($number in $numbers) {
        if ($number -gt 1 -and $numbers -notcontains ($number - 1)) {
            $gap = ($number - 1) * [long]($Limit / 4)
            $mark = $Utf8.GetBytes("`n[backledger-run: $gap bytes of output are left out here]`n")
            $memory.Write($mark, 0, $mark.Length)
        }
        $piece = [IO.File]::ReadAllBytes((Join-Path $Folder "$Name.$number"))
        $memory.Write($piece, 0, $piece.Length)
    }
    return , $memory.ToArray()
}

function Get-Shortened([byte[]]$Data, [int]$Most) {
    if ($Data.Length -le $Most) { return , $Data }
    $head = [int]($Most / 4)
    $tail = [int]($Most * 3 / 4)
    $mark = $Utf8.GetBytes("`n[backledger-run: $($Data.Length - $head - $tail) bytes of output are left out here]`n")
    $memory = New-Object IO.MemoryStream
    $memory.Write($Data, 0, $head)
    $memory.Write($mark, 0, $mark.Length)
    $memory.Write($Data, $Data.Length - $tail, $tail)
    return , $memory.ToArray()
}

function Get-StartInfo([string[]]$Command) {
    # How to start it; null if there is no such program. Scripts of PowerShell run in a process of their own.
    $found = Get-Command -Name $Command[0] -CommandType @('Application', 'ExternalScript') -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($null -eq $found) { return $null }
    $rest = @()
    if ($Command.Count -gt 1) { $rest = @($Command[1..($Command.Count - 1)]) }
    $info = New-Object Diagnostics.ProcessStartInfo
    $info.FileName = $found.Path
    if ($found.CommandType -eq 'ExternalScript') {
        $info.FileName = (Get-Process -Id $PID).Path
        $rest = @('-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', $found.Path) + $rest
    }
    $info.Arguments = Join-Arguments $rest
    $info.WorkingDirectory = (Get-Location -PSProvider FileSystem).ProviderPath
    $info.UseShellExecute = $false
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    return $info
}

function Invoke-CapturedCommand([string[]]$Command, [object[]]$Captures) {
    # Its exit code; 127 and 126 where it cannot be started, as a shell says it.
    $code = 127
    $process = $null
    try {
        $info = Get-StartInfo $Command
        if ($null -ne $info) { $code = 126; $process = [Diagnostics.Process]::Start($info) } else { throw 'there is no such program' }
    } catch {
        $told = "$($Command[0]) cannot be started: $($_.Exception.Message)"
        Say $told
        $bytes = $Utf8.GetBytes("backledger-run: $told`n")
        Add-Captured $Captures[1] $bytes $bytes.Length
        return $code
    }
    Copy-Output $process $Captures
    $process.WaitForExit()
    return $process.ExitCode
}

function Copy-Output($Process, [object[]]$Captures) {
    # Byte by byte as it comes, until both streams end, or nothing has come for a while after the command has ended.
    $sources = @($Process.StandardOutput.BaseStream, $Process.StandardError.BaseStream)
    $targets = @([Console]::OpenStandardOutput(), [Console]::OpenStandardError())
    $buffers = @((New-Object byte[] 65536), (New-Object byte[] 65536))
    $tasks = @($null, $null)
    $open = @($true, $true)
    $quiet = [Diagnostics.Stopwatch]::StartNew()
    while ($open[0] -or $open[1]) {
        foreach ($at in 0, 1) {
            if ($open[$at] -and $null -eq $tasks[$at]) { $tasks[$at] = $sources[$at].ReadAsync($buffers[$at], 0, 65536) }
        }
        $pending = [Threading.Tasks.Task[]]@($tasks | Where-Object { $null -ne $_ })
        $null = [Threading.Tasks.Task]::WaitAny($pending, 200)
        foreach ($at in 0, 1) {
            if ($null -eq $tasks[$at] -or -not $tasks[$at].IsCompleted) { continue }
            $count = 0
            try { $count = $tasks[$at].Result } catch { $count = 0 }
            $tasks[$at] = $null
            if ($count -le 0) { $open[$at] = $false; continue }
            $quiet.Restart()
            Add-Captured $Captures[$at] $buffers[$at] $count
            if ($null -ne $targets[$at]) {
                try { $targets[$at].Write($buffers[$at], 0, $count); $targets[$at].Flush() } catch { $targets[$at] = $null }
            }
        }
        if ($Process.HasExited -and $quiet.Elapsed.TotalSeconds -gt $SilentSeconds) { return }
    }
}

# --- measuring the selection -------------------------------------------------------------------------------------

function ConvertTo-GlobExpression([string]$Glob) {
    # A pattern of restic over a path with forward slashes; a match takes all below it along.
    $text = $Glob.Replace('\', '/').TrimEnd('/')
    $inner = [regex]::Escape($text.TrimStart('/')) -replace '\\\*\\\*/', '(?:[^/]+/)*' -replace '\\\*\\\*', '.*' -replace '\\\*', '[^/]*' -replace '\\\?', '[^/]'
    $whole = $text -match '^(?:/|[A-Za-z]:)'
    return $(if ($whole) { '^/*' } else { '(?:^|/)' }) + $inner + '(?:/|$)'
}

function Get-Selection($Options) {
    # Roots, excludes and the rules as they were given; null if nothing is to be measured.
    $roots = @($Options.measure)
    $excludes = @($Options.exclude)
    $rules = ''
    $listed = $Options.measurelist
    foreach ($path in $Options.excludefile) { $excludes += @(Get-MeaningfulLines ([IO.File]::ReadAllText($path))) }
    if ($Options.selection -ne '') {
        $rules = [IO.File]::ReadAllText($Options.selection)
        # a .SEL file has sections and expressions of its own: the service applies them to the list of files
        $sel = $rules -match '(?m)^\s*\[[^\]\r\n]+\]\s*$'
        $listed = $listed -or $sel
        foreach ($line in Get-MeaningfulLines $rules) {
            if ($line.StartsWith('[')) { continue }
            if ($line -match '^[-!]\s*(.+)$') { if (-not $sel) { $excludes += $Matches[1].Trim() }; continue }
            $path = $line -replace '^[+R]\s+', ''
            if ($path -match '^"([^"]+)"') { $path = $Matches[1] } else { $path = ($path -replace '\s+-\s*<.*$', '') -replace '\s+/s\s*$', '' }
            $roots += $path.Trim()
        }
    }
    if ($roots.Count -eq 0) { return $null }
    return @{ roots = @($roots | Select-Object -Unique); excludes = $excludes; rules = $rules; listed = $listed }
}

function Get-MeaningfulLines([string]$Text) {
    foreach ($line in $Text.Split([char[]]"`r`n", [StringSplitOptions]::RemoveEmptyEntries)) {
        $line = [Environment]::ExpandEnvironmentVariables($line.Trim())
        if ($line -ne '' -and -not $line.StartsWith('#')) { $line }
    }
}

function Measure-Selection($Selection, [string]$Folder) {
    # The attachments. Links are not followed; Windows does not say cheaply which names are one file: bytes stays empty.
    $began = [Diagnostics.Stopwatch]::StartNew()
    $taken = [DateTime]::UtcNow.ToString('o')
    $expression = $null
    if ($Selection.excludes.Count) {
        $joined = (@($Selection.excludes | ForEach-Object { ConvertTo-GlobExpression $_ }) -join '|')
        $expression = New-Object regex($joined, [Text.RegularExpressions.RegexOptions]'IgnoreCase, CultureInvariant')
    }
    $listPath = Join-Path $Folder 'list.gz'
    $writer = $null
    if ($Selection.listed) {
        $packer = New-Object IO.Compression.GZipStream([IO.File]::Create($listPath), [IO.Compression.CompressionMode]::Compress)
        $writer = New-Object IO.StreamWriter($packer, $Utf8)
    }
    $sums = @{ files = [long]0; dirs = [long]0; links = [long]0; bytes_each = [long]0; unreadable = [long]0; missing = @() }
    try {
        $met = New-Object 'Collections.Generic.HashSet[string]'([StringComparer]::OrdinalIgnoreCase)
        foreach ($root in ($Selection.roots | Sort-Object Length)) { Measure-Root $root $expression $writer $sums $met }
    } finally {
        if ($null -ne $writer) { $writer.Dispose() }
    }
    $list = New-Object byte[] 0
    if ($Selection.listed) { $list = [IO.File]::ReadAllBytes($listPath) }
    $fits = $list.Length -le $MostBody / 2
    $header = '{"backledger_inventory":1,"roots":' + (Format-Texts $Selection.roots) + ',"excludes":' + (Format-Texts $Selection.excludes) +
        ',"one_file_system":false,"taken_at":' + (Format-Text $taken) + ',"seconds":' + [int]$began.Elapsed.TotalSeconds +
        ',"missing_roots":' + (Format-Texts $sums.missing) + ',"listed":' + "$($Selection.listed -and $fits)".ToLowerInvariant() +
        $(if ($fits) { '' } else { ',"list_omitted":"too large to send"' }) +
        ',"files":' + $sums.files + ',"dirs":' + $sums.dirs + ',"links":' + $sums.links + ',"others":0,"bytes":null,"bytes_each":' +
        $sums.bytes_each + ',"unreadable":' + $sums.unreadable + ',"vanished":0}' + "`n"
    $told = if ($Selection.listed -and $fits) {
        $packed = Join-Bytes (ConvertTo-Gzip $Utf8.GetBytes($header)) $list
        '{"name":"selection.inventory.gz","content_type":"application/gzip","content_base64":"' + [Convert]::ToBase64String($packed) + '"}'
    } else {
        '{"name":"selection.inventory","content_type":"application/x-ndjson","content":' + (Format-Text $header) + '}'
    }
    if ($Selection.rules -ne '') { $told = $told + ',{"name":"selection.rules","content":' + (Format-Text $Selection.rules) + '}' }
    return $told
}

function Measure-Root([string]$Root, $Expression, $Writer, [hashtable]$Sums, $Met) {
    $waiting = New-Object 'Collections.Generic.Stack[string]'
    if ([IO.File]::Exists($Root)) { Add-MeasuredFile (New-Object IO.FileInfo($Root)) $Writer $Sums; return }
    if (-not [IO.Directory]::Exists($Root)) { $Sums.missing += $Root; return }
    if (-not $Met.Contains($Root.TrimEnd([char[]]'\/'))) { $waiting.Push($Root); $Sums.dirs++ }
    while ($waiting.Count) {
        $folder = $waiting.Pop()
        $null = $Met.Add($folder.TrimEnd([char[]]'\/'))
        try {
            foreach ($entry in (New-Object IO.DirectoryInfo($folder)).EnumerateFileSystemInfos()) {
                if ($null -ne $Expression -and $Expression.IsMatch($entry.FullName.Replace('\', '/'))) { continue }
                if ($entry.Attributes -band [IO.FileAttributes]::ReparsePoint) {
                    # placeholders of OneDrive and deduplicated files are reparse points, too, but hold data
                    if (($entry.Attributes -band [IO.FileAttributes]::Directory) -or $entry.Length -eq 0) { $Sums.links++; continue }
                }
                if ($entry -is [IO.DirectoryInfo]) {
                    if (-not $Met.Contains($entry.FullName)) { $waiting.Push($entry.FullName); $Sums.dirs++ }
                } else {
                    Add-MeasuredFile $entry $Writer $Sums
                }
            }
        } catch {
            $Sums.unreadable++  # no right to enter, or gone meanwhile
        }
    }
}

function Add-MeasuredFile($File, $Writer, [hashtable]$Sums) {
    $Sums.files++
    $Sums.bytes_each += $File.Length
    if ($null -ne $Writer) {
        $Writer.Write("$($File.Length)`t-`t" + $File.FullName.Replace('\', '\\').Replace("`t", '\t') + "`n")
    }
}

# --- the envelope ------------------------------------------------------------------------------------------------

function Format-Text([string]$Text) {
    # A text as JSON; ConvertTo-Json takes minutes over megabytes.
    $told = $Text.Replace('\', '\\').Replace('"', '\"').Replace("`n", '\n').Replace("`r", '\r').Replace("`t", '\t')
    foreach ($number in 0..31) {
        $sign = [string][char]$number
        if ($told.IndexOf($sign, [StringComparison]::Ordinal) -ge 0) { $told = $told.Replace($sign, ('\u{0:x4}' -f $number)) }
    }
    return '"' + $told + '"'
}

function Format-Texts([object[]]$Texts) {
    return '[' + (@($Texts | Where-Object { $null -ne $_ } | ForEach-Object { Format-Text "$_" }) -join ',') + ']'
}

function New-Envelope($About, [byte[]]$Out, [byte[]]$Err, [string]$Attachments) {
    foreach ($most in @(([int]$MostBody), 2097152)) {
        $parts = @()
        foreach ($name in 'run_id', 'started_at', 'ended_at', 'job', 'host', 'timezone', 'format', 'command') {
            if ($About[$name]) { $parts += (Format-Text $name) + ':' + (Format-Text $About[$name]) }
        }
        if ($null -ne $About.exit_code) { $parts += '"exit_code":' + $About.exit_code }
        $parts += '"stdout_base64":"' + [Convert]::ToBase64String((Get-Shortened $Out $most)) + '"'
        $parts += '"stderr_base64":"' + [Convert]::ToBase64String((Get-Shortened $Err $most)) + '"'
        if ($Attachments -ne '' -and $most -eq $MostBody) { $parts += '"attachments":[' + $Attachments + ']' }
        $body = $Utf8.GetBytes('{' + ($parts -join ',') + '}')
        if ($body.Length -le $MostBody) { break }
    }
    return , $body
}

function Get-CutEnvelope([byte[]]$Body) {
    # The same run with the ends of its output only.
    $told = $Utf8.GetString($Body) | ConvertFrom-Json
    $about = @{ exit_code = $null }
    foreach ($name in 'run_id', 'started_at', 'ended_at', 'job', 'host', 'timezone', 'format', 'command', 'exit_code') {
        $value = $told.PSObject.Properties[$name]
        if ($null -eq $value) { $about[$name] = $null; continue }
        $about[$name] = if ($value.Value -is [DateTime]) { $value.Value.ToUniversalTime().ToString('o') } else { $value.Value }
    }
    $out = Get-Shortened ([Convert]::FromBase64String($told.stdout_base64)) $CutStream
    $err = Get-Shortened ([Convert]::FromBase64String($told.stderr_base64)) $CutStream
    return , (New-Envelope $about $out $err '')
}

# --- runs that wait ----------------------------------------------------------------------------------------------

function Get-ItemPath([string]$Spool, $About) {
    $when = ($About.started_at.Substring(0, 23) -replace '[^0-9T]', '')
    return [IO.Path]::Combine($Spool, 'waiting', "$when-$($About.run_id).json.gz")
}

function Save-About([string]$Folder, $About, $Settings) {
    $lines = @("max_output_bytes=$($Settings.max_output_bytes)")
    foreach ($name in @($About.Keys)) {
        if ($null -ne $About[$name]) { $lines += $name + '=' + [Convert]::ToBase64String($Utf8.GetBytes("$($About[$name])")) }
    }
    Write-Durably (Join-Path $Folder 'about.txt') $Utf8.GetBytes($lines -join "`n")
}

function Restore-Orphans([string]$Spool) {
    # Runs whose wrapper was ended are told with what is known of them.
    foreach ($folder in [IO.Directory]::GetDirectories((Join-Path $Spool 'running'))) {
        $lock = Open-Lock (Join-Path $folder 'lock')
        if ($null -eq $lock) { continue }
        try {
            if (-not [IO.File]::Exists((Join-Path $folder 'about.txt'))) { continue }
            $about = @{ exit_code = $null }
            foreach ($line in [IO.File]::ReadAllLines((Join-Path $folder 'about.txt'))) {
                $name, $value = $line.Split([char[]]'=', 2)
                $about[$name] = if ($name -eq 'max_output_bytes') { [int]$value } else { $Utf8.GetString([Convert]::FromBase64String($value)) }
            }
            $err = Read-Captured $folder 'stderr' $about.max_output_bytes
            if ($null -eq $about.exit_code) {
                $err = Join-Bytes $err $Utf8.GetBytes("`nbackledger-run: it was ended before the command; how that ended is not known`n")
            }
            $body = New-Envelope $about (Read-Captured $folder 'stdout' $about.max_output_bytes) $err ''
            Write-Durably (Get-ItemPath $Spool $about) (ConvertTo-Gzip $body)
            Say "the run of $($about.started_at) was cut short and is told with what is known of it"
            $lock.Dispose()
            [IO.Directory]::Delete($folder, $true)
        } catch {
            Say "$folder cannot be read and stays: $($_.Exception.Message)"
        } finally {
            $lock.Dispose()
        }
    }
}

function Limit-Spool([string]$Spool, $Settings) {
    # Cut the oldest large logs once the spool is too large or they are too old. Nothing is ever removed.
    $paths = @((Get-Items $Spool 'waiting') + (Get-Items $Spool 'refused'))
    $files = @($paths | ForEach-Object { New-Object IO.FileInfo($_) } | Sort-Object Name)
    $total = [long]0
    foreach ($file in $files) { $total += $file.Length }
    $oldest = [DateTime]::UtcNow.AddDays(-$Settings.spool_max_days)
    foreach ($file in $files) {
        if ($file.Length -le $CutFrom -or ($total -le $Settings.spool_max_bytes -and $file.LastWriteTimeUtc -ge $oldest)) { continue }
        $cut = ConvertTo-Gzip (Get-CutEnvelope (ConvertFrom-Gzip ([IO.File]::ReadAllBytes($file.FullName))))
        Write-Durably $file.FullName $cut
        $total += $cut.Length - $file.Length
        Say "$($file.Name): its output was cut to its ends, since the spool is over its limits"
    }
    if ($total -gt $Settings.spool_max_bytes) { Say "$($files.Count) logs wait, $total bytes: more than the limit; none is removed" }
}

# --- sending -----------------------------------------------------------------------------------------------------

function Send-Envelope($Settings, [string]$RunId, [byte[]]$Body, [double]$Seconds) {
    # What the service said: verdict taken, later, settings, large or refused, and the reason.
    $response = $null
    try {
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor 3072  # TLS 1.2
        $request = [Net.HttpWebRequest][Net.WebRequest]::Create($Settings.url + '/api/v1/logs')
        $request.Method = 'POST'
        $request.AllowAutoRedirect = $false  # a redirected POST becomes a GET, and its answer would look like a receipt
        $request.Timeout = [int]($Seconds * 1000)
        $request.ReadWriteTimeout = [int]($Seconds * 1000)
        $request.UserAgent = "backledger-run/$Version (PowerShell)"
        $request.ContentType = 'application/vnd.backledger.envelope+json'
        $request.ServicePoint.Expect100Continue = $false
        $request.Headers['Authorization'] = "Bearer $($Settings.key)"
        Set-Proxy $request
        $packed = [byte[]]@()
        if ($Body.Length) {
            $request.Headers['Content-Encoding'] = 'gzip'
            $request.Headers['Idempotency-Key'] = $RunId
            $packed = ConvertTo-Gzip $Body
        }
        $request.ContentLength = $packed.Length
        $stream = $request.GetRequestStream()
        $stream.Write($packed, 0, $packed.Length)
        $stream.Dispose()
        $response = [Net.HttpWebResponse]$request.GetResponse()
    } catch {
        $cause = $_.Exception
        while ($null -ne $cause -and $cause -isnot [Net.WebException]) { $cause = $cause.InnerException }
        if ($null -ne $cause) { $response = $cause.Response }
        if ($null -eq $response) { return @{ verdict = 'later'; reason = "$($Settings.url): $($_.Exception.Message)"; wait = 0 } }
    }
    try { return Get-Verdict $response } finally { $response.Dispose() }
}

function Set-Proxy($Request) {
    # Windows PowerShell knows the system's proxy only; the environment's goes before it, as elsewhere.
    $name = if ($Request.RequestUri.Scheme -eq 'https') { 'HTTPS_PROXY' } else { 'HTTP_PROXY' }
    $proxy = [Environment]::GetEnvironmentVariable($name)
    $direct = "$([Environment]::GetEnvironmentVariable('NO_PROXY'))".Split([char[]]', ', [StringSplitOptions]::RemoveEmptyEntries)
    $hostName = $Request.RequestUri.Host
    if (@($direct | Where-Object { $_ -eq '*' -or $hostName -eq $_ -or $hostName.EndsWith('.' + $_.TrimStart('.')) }).Count) {
        $Request.Proxy = $null
    } elseif ($proxy) {
        $Request.Proxy = New-Object Net.WebProxy($proxy, $true)
    }
}

function Get-Verdict($Response) {
    $status = [int]$Response.StatusCode
    $text = ''
    try { $text = (New-Object IO.StreamReader($Response.GetResponseStream(), $Utf8)).ReadToEnd() } catch { $text = '' }
    $told = $null
    try { $told = $text | ConvertFrom-Json } catch { $told = $null }
    $field = { param($name) if ($null -ne $told -and $told -is [psobject] -and $told.PSObject.Properties[$name]) { "$($told.PSObject.Properties[$name].Value)" } else { '' } }
    $reason = "$status $(& $field 'detail')"
    $ours = (& $field 'type').StartsWith('urn:backledger:')
    $wait = 0
    $null = [int]::TryParse("$($Response.Headers['Retry-After'])", [ref]$wait)
    if ($status -ge 200 -and $status -lt 300) {
        if (& $field 'receipt') { return @{ verdict = 'taken'; reason = ''; wait = 0 } }
        return @{ verdict = 'later'; reason = "the answer is not Backledger's: check url"; wait = 0 }
    }
    if ($status -lt 400) { return @{ verdict = 'settings'; reason = "$status, redirected to $($Response.Headers['Location'])"; wait = 0 } }
    $again = 408, 425, 429
    if ($status -ge 500 -or $again -contains $status) { return @{ verdict = 'later'; reason = $reason; wait = $wait } }
    if (401, 403, 404, 405, 407 -contains $status -or -not $ours) { return @{ verdict = 'settings'; reason = $reason; wait = 0 } }
    return @{ verdict = $(if ($status -eq 413) { 'large' } else { 'refused' }); reason = $reason; wait = 0 }
}

function Send-Waiting([string]$Spool, $Settings, [double]$Seconds) {
    # Sends what waits, oldest first, until the time is up; why it stopped, or nothing.
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $lock = $null
    while ($null -eq ($lock = Open-Lock (Join-Path $Spool 'lock'))) {
        if ($clock.Elapsed.TotalSeconds -ge $Seconds) { return 'another one is sending' }
        Start-Sleep -Milliseconds 100
    }
    try {
        Restore-Orphans $Spool
        Limit-Spool $Spool $Settings
        $missing = Get-Missing $Settings
        if ($missing) { return $missing }
        $pause = Join-Path $Spool 'retry-after'
        if ([IO.File]::Exists($pause)) {
            $until = [IO.File]::GetLastWriteTimeUtc($pause)
            if ($until -gt [DateTime]::UtcNow -and $until -lt [DateTime]::UtcNow.AddHours(1)) { return "the service asked to wait until $($until.ToString('o'))" }
        }
        foreach ($path in Get-Items $Spool 'waiting') {
            $left = $Seconds - $clock.Elapsed.TotalSeconds
            if ($left -le 0) { return 'no time was left' }
            $answer = Send-Item $Settings $path ([Math]::Max(0.5, [Math]::Min(15, $left)))
            if ($answer.verdict -eq 'taken') {
                [IO.File]::Delete($path)
            } elseif ($answer.verdict -eq 'refused' -or $answer.verdict -eq 'large') {
                Move-Refused $Spool $path $answer.reason
            } else {
                if ($answer.wait -gt 0) {
                    [IO.File]::WriteAllText($pause, '')
                    [IO.File]::SetLastWriteTimeUtc($pause, [DateTime]::UtcNow.AddSeconds([Math]::Min($answer.wait, 3500)))
                }
                return $answer.reason
            }
        }
        return ''
    } finally {
        $lock.Dispose()
    }
}

function Send-Item($Settings, [string]$Path, [double]$Seconds) {
    $runId = ([IO.Path]::GetFileName($Path) -replace '\.json\.gz$', '') -replace '^.*-', ''
    try {
        $body = ConvertFrom-Gzip ([IO.File]::ReadAllBytes($Path))
    } catch {
        return @{ verdict = 'refused'; reason = "the file cannot be read: $($_.Exception.Message)"; wait = 0 }
    }
    $answer = Send-Envelope $Settings $runId $body $Seconds
    if ($answer.verdict -ne 'large') { return $answer }
    $body = Get-CutEnvelope $body
    Write-Durably $Path (ConvertTo-Gzip $body)
    return Send-Envelope $Settings $runId $body $Seconds
}

function Move-Refused([string]$Spool, [string]$Path, [string]$Reason) {
    $target = [IO.Path]::Combine($Spool, 'refused', [IO.Path]::GetFileName($Path))
    [IO.File]::WriteAllText("$target.reason", "$Reason`n", $Utf8)
    if ([IO.File]::Exists($target)) { [IO.File]::Delete($target) }
    [IO.File]::Move($Path, $target)
    Say "a log was refused and is kept as ${target}: $Reason"
}

# --- what the person asked for -----------------------------------------------------------------------------------

function Invoke-Check($Settings) {
    # An empty post is refused for being empty, but only once address, certificate and key are good.
    $problem = Get-Missing $Settings
    if (-not $problem) {
        $answer = Send-Envelope $Settings '' ([byte[]]@()) 15
        if ($answer.verdict -ne 'refused' -or -not $answer.reason.StartsWith('400 ')) { $problem = $answer.reason }
    }
    if ($problem) { Say "check: $problem"; return 1 }
    [Console]::Out.WriteLine("$($Settings.url) answers, and the key may post logs. Zone: $($Settings.timezone). Spool: $($Settings.spool)")
    return 0
}

function Show-Status([string]$Spool) {
    $refused = Get-Items $Spool 'refused'
    [Console]::Out.WriteLine("$((Get-Items $Spool 'waiting').Length) waiting, $($refused.Length) refused, in $Spool")
    foreach ($path in $refused) {
        $reason = if ([IO.File]::Exists("$path.reason")) { [IO.File]::ReadAllText("$path.reason").Trim() } else { '' }
        [Console]::Out.WriteLine("refused $([IO.Path]::GetFileName($path)): $reason")
    }
    return 0
}

function Invoke-Flush([string]$Spool, $Settings) {
    $before = (Get-Items $Spool 'waiting').Length
    $problem = Send-Waiting $Spool $Settings $FlushSeconds
    $left = (Get-Items $Spool 'waiting').Length
    if ($before -or $left) { [Console]::Out.WriteLine("$left still waiting") }
    if ($left -and $problem) { Say $problem }
    return $(if ($left) { 1 } else { 0 })
}

function Restore-Refused([string]$Spool) {
    foreach ($path in Get-Items $Spool 'refused') {
        [IO.File]::Move($path, [IO.Path]::Combine($Spool, 'waiting', [IO.Path]::GetFileName($path)))
        [IO.File]::Delete("$path.reason")
    }
}

function Invoke-Reported([string]$Spool, $Settings, $Options) {
    # Run the command, keep what it said, send it for a few seconds; the command's exit code.
    $about = @{
        run_id = [Guid]::NewGuid().ToString('N'); started_at = [DateTime]::UtcNow.ToString('o'); ended_at = $null; exit_code = $null
        job = $Options.job; host = $Settings.host; timezone = $Settings.timezone; format = $Options.format
        command = if ($Options.command.Count) { Join-Arguments (Get-MaskedWords $Options.command) } else { '' }
    }
    $folder = [IO.Path]::Combine($Spool, 'running', $about.run_id)
    $null = [IO.Directory]::CreateDirectory($folder)
    $patience = [Diagnostics.Stopwatch]::StartNew()  # a flusher may be looking at the new folder just now
    while ($null -eq ($lock = Open-Lock (Join-Path $folder 'lock')) -and $patience.Elapsed.TotalSeconds -lt 5) {
        Start-Sleep -Milliseconds 50
    }
    Save-About $folder $about $Settings
    $captures = @((New-Capture $folder 'stdout' $Settings.max_output_bytes), (New-Capture $folder 'stderr' $Settings.max_output_bytes))
    $code = 0
    $script:Began = $true
    if ($Options.command.Count) {
        $code = Invoke-CapturedCommand $Options.command $captures
        $about.exit_code = $code
        $about.ended_at = [DateTime]::UtcNow.ToString('o')
    }
    $script:Code = $code
    foreach ($capture in $captures) { if ($null -ne $capture.file) { $capture.file.Dispose() } }
    $attachments = ''
    try {
        Save-About $folder $about $Settings
        $selection = Get-Selection $Options
        if ($null -ne $selection) { $attachments = Measure-Selection $selection $folder }
    } catch {
        Say "the selection could not be measured: $($_.Exception.Message)"
    }
    $out = Read-Captured $folder 'stdout' $Settings.max_output_bytes
    $err = Read-Captured $folder 'stderr' $Settings.max_output_bytes
    foreach ($capture in $captures) {
        if ($capture.broken) { $err = Join-Bytes $err $Utf8.GetBytes("backledger-run: output could not be kept whole: $($capture.broken)`n") }
    }
    Write-Durably (Get-ItemPath $Spool $about) (ConvertTo-Gzip (New-Envelope $about $out $err $attachments))
    if ($null -ne $lock) { $lock.Dispose() }
    [IO.Directory]::Delete($folder, $true)
    $problem = Send-Waiting $Spool $Settings $Settings.wait_seconds
    $left = (Get-Items $Spool 'waiting').Length
    if ($left) { Say "$left logs wait in $Spool and are sent later: $problem" }
    return $code
}

$Began = $false
$Code = 1
$Options = Read-Options $args
try {
    $Settings = Read-Settings $Options.config
    if ($Options.check) { exit (Invoke-Check $Settings) }
    $Spool = Open-Spool $Settings
    if ($Options.status) { exit (Show-Status $Spool) }
    if ($Options.retryrefused) { Restore-Refused $Spool }
    if ($Options.retryrefused -or $Options.flush) { exit (Invoke-Flush $Spool $Settings) }
    $Code = Invoke-Reported $Spool $Settings $Options
} catch {
    Say "this run could not be kept or sent: $($_.Exception.Message)"
    if (-not $Began -and $Options.command.Count) {
        # whatever is wrong with us, the backup runs
        $rest = @()
        if ($Options.command.Count -gt 1) { $rest = @($Options.command[1..($Options.command.Count - 1)]) }
        $global:LASTEXITCODE = 0
        $program = $Options.command[0]
        & $program @rest
        $Code = $LASTEXITCODE
    }
}
exit $Code
