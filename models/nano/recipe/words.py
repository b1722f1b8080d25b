"""The fixed words of the pictures: what charts compare, colours, kinds of shapes."""

CATEGORIES: tuple[tuple[str, ...], ...] = (
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ("January", "February", "March", "April", "May", "June", "July", "August"),
    ("Q1", "Q2", "Q3", "Q4"),
    ("2015", "2016", "2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024"),
    ("A", "B", "C", "D", "E", "F", "G", "H"),
    ("P", "Q", "R", "S", "T", "U", "V", "W"),
    ("Apples", "Bananas", "Cherries", "Grapes", "Oranges", "Pears", "Plums", "Lemons", "Mangoes"),
    ("apple", "banana", "cherry", "grape", "orange", "pear", "plum", "lemon", "mango", "kiwi"),
    ("Cats", "Dogs", "Birds", "Fish", "Rabbits", "Hamsters", "Horses", "Snakes"),
    ("Cat", "Dog", "Bird", "Fish", "Rabbit", "Horse", "Cow", "Pig", "Sheep"),
    ("Red", "Blue", "Green", "Yellow", "Orange", "Purple", "Pink", "Black", "White"),
    (
        "Anna",
        "Ben",
        "Clara",
        "David",
        "Emma",
        "Frank",
        "Grace",
        "Henry",
        "Ivy",
        "Jack",
        "Kate",
        "Leo",
    ),
    ("Alice", "Bob", "Carol", "Dan", "Eve", "Tom", "Mia", "Sam", "Lucy", "Max", "Nina", "Paul"),
    (
        "Math",
        "English",
        "Science",
        "History",
        "Art",
        "Music",
        "Physics",
        "Biology",
        "Chemistry",
        "PE",
    ),
    ("Football", "Tennis", "Golf", "Hockey", "Rugby", "Swimming", "Running", "Baseball", "Soccer"),
    (
        "France",
        "Spain",
        "Italy",
        "Germany",
        "China",
        "Japan",
        "India",
        "Brazil",
        "Canada",
        "USA",
        "UK",
    ),
    ("Paris", "London", "Rome", "Berlin", "Madrid", "Tokyo", "Cairo", "Oslo", "Lima", "Delhi"),
    ("North", "South", "East", "West", "Central"),
    ("Bus", "Car", "Bike", "Walk", "Train", "Tram", "Taxi", "Plane"),
    ("Tea", "Coffee", "Milk", "Water", "Juice", "Soda", "Cola"),
    ("Spring", "Summer", "Autumn", "Winter"),
    ("Books", "Pens", "Bags", "Shoes", "Hats", "Toys", "Phones", "Cups", "Games"),
    ("Pizza", "Pasta", "Salad", "Soup", "Burger", "Rice", "Bread", "Cake", "Sushi"),
    ("Week 1", "Week 2", "Week 3", "Week 4", "Week 5", "Week 6"),
    ("Day 1", "Day 2", "Day 3", "Day 4", "Day 5", "Day 6"),
    ("Class A", "Class B", "Class C", "Class D", "Class E"),
    ("Team 1", "Team 2", "Team 3", "Team 4", "Team 5"),
    ("1", "2", "3", "4", "5", "6", "7", "8"),
)

CHINESE_CATEGORIES: tuple[tuple[str, ...], ...] = (
    ("苹果", "香蕉", "葡萄", "橙子", "梨", "桃子", "西瓜", "草莓"),
    ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    ("星期一", "星期二", "星期三", "星期四", "星期五"),
    ("一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月"),
    ("1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月"),
    ("甲", "乙", "丙", "丁", "戊"),
    ("数学", "语文", "英语", "物理", "化学", "音乐", "美术"),
    ("小明", "小红", "小刚", "小华", "小丽", "小李"),
    ("北京", "上海", "广州", "深圳", "成都", "武汉"),
    ("篮球", "足球", "排球", "网球", "游泳", "跑步"),
    ("猫", "狗", "鸟", "鱼", "兔子", "马"),
    ("一班", "二班", "三班", "四班", "五班"),
    ("春", "夏", "秋", "冬"),
)

TITLES = (
    "Sales", "Sales by month", "Visitors", "Favorite fruit", "Test scores", "Number of students",
    "Rainfall",
    "Temperature", "Votes", "Books read", "Goals scored", "Survey results", "Production", "Points",
    "Units sold",
    "Score", "Count", "Amount", "Value", "Revenue", "Attendance", "Pets owned", "Monthly totals",
    "Results",
)  # fmt: skip
CHINESE_TITLES = ("销售量", "人数", "成绩", "得票数", "数量", "产量", "统计图")

COLORS: tuple[tuple[str, str], ...] = (
    ("red", "红色"), ("blue", "蓝色"), ("green", "绿色"), ("yellow", "黄色"), ("orange", "橙色"),
    ("purple", "紫色"), ("pink", "粉色"), ("black", "黑色"), ("gray", "灰色"), ("brown", "棕色"),
)  # fmt: skip
KINDS: tuple[tuple[str, str, str], ...] = (
    ("circle", "circles", "圆形"), ("square", "squares", "正方形"), ("triangle", "triangles",
    "三角形"),
    ("star", "stars", "五角星"), ("diamond", "diamonds", "菱形"), ("rectangle", "rectangles",
    "长方形"),
    ("pentagon", "pentagons", "五边形"), ("hexagon", "hexagons", "六边形"), ("oval", "ovals",
    "椭圆"),
)  # fmt: skip

CHINESE_WORDS = tuple(w for group in CHINESE_CATEGORIES for w in group) + CHINESE_TITLES
"""Every Chinese word that a picture may show; the Chinese fonts are cut down to these."""
